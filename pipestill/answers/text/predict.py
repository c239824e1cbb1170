"""Text: generated once per sampling seed; where a metric asks for it, how likely the references are is read too."""

from collections.abc import Mapping
from pathlib import Path

from pipestill.answers.base import Said
from pipestill.answers.text import Generated
from pipestill.inference.answers import answer_prompts
from pipestill.inference.generation import generate
from pipestill.inference.likelihood import likelihoods
from pipestill.inference.loaded import Loaded
from pipestill.inference.queries import queries
from pipestill.inference.work import Work
from pipestill.io.files import write_json
from pipestill.io.records import Json, Record, of_split, write_jsonl
from pipestill.settings.jobs import Asking
from pipestill.tasks import Task


def predict(task: Task, loaded: Loaded, asking: Asking, records: list[Record], work: Work, directory: Path) -> None:
    """Write ``predictions.jsonl`` of one run to ``directory``, a row per test record and sampling seed, and
    ``queries.json``.

    Where the task has perplexity among its metrics and test records have references, there is a ``likelihood.jsonl``.
    """
    tested, seeds = of_split(records, "test"), task.answers.options(asking.answers).seeds()
    said = _answer(task, loaded, asking, {record.id: asking.prompt.fill(record.inputs) for record in tested}, work)
    rows = [_row(record, seed, said[_key(record.id, seed)]) for seed in seeds for record in tested]
    write_jsonl(directory / "predictions.jsonl", rows)
    asked = [said[_key(record.id, seed)] for seed in seeds for record in tested]
    write_json(directory / "queries.json", queries(loaded.model, asked))
    referenced = [record for record in tested if record.references]
    if "perplexity" in task.answers.metrics and referenced:
        written = {row["id"]: row["rationale"] for row in reversed(rows) if row.get("rationale") is not None}
        found = likelihoods(loaded, asking, referenced, work.label, written)
        write_jsonl(directory / "likelihood.jsonl", found)


def say(task: Task, loaded: Loaded, asking: Asking, prompts: Mapping[str, str], work: Work) -> dict[str, Said]:
    """Answer ``prompts`` by key: an output per sampling seed, or the greedy one."""
    said, seeds = _answer(task, loaded, asking, prompts, work), task.answers.options(asking.answers).seeds()
    return {key: Said(key, [said[_key(key, seed)]["text"] for seed in seeds]) for key in prompts}


def reply(task: Task, loaded: Loaded, asking: Asking, prompt: str, run: Path | None) -> Json:
    """Answer ``prompt``, with the ``sampling_seed`` if it was drawn, and say whether the prompt was cut (``cropped``).

    A model that writes a ``rationale`` before its answers adds it, none where no marker tells it from the answer.
    """
    options, encoder = task.answers.options(asking.answers), loaded.encoder(asking.prompt)
    seed = options.seeds()[0]
    [[(_, answer)]] = generate(
        loaded.model,
        loaded.tokenizer,
        [encoder(prompt, asking.max_prompt_tokens)],
        max_new_tokens=asking.max_new_tokens,
        decoding=options,
        keys=[f"{seed}/{prompt}"],
        after_rationale=asking.rationale_tokens > 0,
    )
    rationale = {"rationale": answer.rationale} if asking.rationale_tokens else {}
    return {
        "prediction": asking.prompt.said(answer.text, bool(loaded.context.demonstrations)),
        **rationale,
        "sampling_seed": seed,
        "cropped": encoder.cut > 0,
    }


def lines(reply: Json) -> list[str]:
    """A reply for people."""
    return [reply["prediction"]]


def _answer(task: Task, loaded: Loaded, asking: Asking, prompts: Mapping[str, str], work: Work) -> dict[str, Json]:
    """Answers by :func:`_key`; those of all seeds to a prompt stand side by side, so that it is read once."""
    options = task.answers.options(asking.answers)
    asked = {_key(key, seed): prompt for key, prompt in prompts.items() for seed in options.seeds()}
    return answer_prompts(loaded, asking, options, asked, work)


def _row(record: Record, seed: int | None, said: Json) -> Json:
    """A row of predictions; where answers come after rationales it has a ``rationale``, null without a marker."""
    rationale = {"rationale": said["rationale"]} if "rationale" in said else {}
    return Generated.to(record, said["text"], sampling_seed=seed).row() | rationale


def _key(key: str, seed: int | None) -> str:
    return key if seed is None else f"{seed}/{key}"
