"""Text: generated; where a metric asks for it, how likely the references are is read too."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pipestill.answers.base import Said
from pipestill.answers.generated.predict import Asked, ask, ask_records, drawn, predict_records, replies_to, said_of
from pipestill.inference.likelihood import likelihoods
from pipestill.inference.loaded import Loaded
from pipestill.inference.question import Listen, Question
from pipestill.inference.work import Work
from pipestill.io.records import Json, Record, by_split, iterate_jsonl, write_jsonl
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.jobs import Asking
from pipestill.tasks import Task


def predict(task: Task, loaded: Loaded, asking: Asking, records: Sequence[Record], work: Work, directory: Path) -> None:
    """Write ``predictions.jsonl`` and ``queries.json`` of one run to ``directory``."""
    options = task.answers.options(asking.answers)

    def answer(part: Sequence[Record], own: Work) -> Asked:
        return ask_records(loaded, asking, options, part, own)

    predict_records(loaded, answer, by_split(records)["test"], work, directory)


def probe(
    weighed: Callable[[], Loaded], asking: Asking, records: Sequence[Record], label: str, directory: Path
) -> None:
    """Write how likely a run finds references to ``likelihood.jsonl``, where test records have references."""
    if referenced := [record for record in by_split(records)["test"] if record.references]:
        rationales: dict[str, str] = {}
        for row in iterate_jsonl(directory / "predictions.jsonl"):
            if row.get("rationale") is not None:
                rationales.setdefault(row["id"], row["rationale"])
        write_jsonl(directory / "likelihood.jsonl", likelihoods(weighed(), asking, referenced, label, rationales))


def say(task: Task, loaded: Loaded, asking: Asking, prompts: Mapping[str, str], work: Work) -> dict[str, Said]:
    """Answer ``prompts`` by key: an output per sampling seed, or the greedy one."""
    return said_of(ask(loaded, asking, task.answers.options(asking.answers), prompts, work))


def draw(
    task: Task, loaded: Loaded, asking: Asking, decoding: GenerationConfig, prompts: Mapping[str, str], work: Work
) -> dict[str, list[str]]:
    """Draw answers to ``prompts`` by key, one a seed of ``decoding``."""
    return drawn(loaded, asking, decoding, prompts, work)


def replies(
    task: Task,
    loaded: Loaded,
    asking: Asking,
    questions: Sequence[Question],
    run: Path | None,
    listen: Listen | None = None,
) -> Iterator[tuple[int, Json]]:
    """Answer ``questions``; see :func:`~pipestill.answers.generated.predict.replies_to`."""
    return replies_to(loaded, asking, task.answers.options(asking.answers), questions, listen)


def lines(reply: Json) -> list[str]:
    """A reply for people."""
    return [reply["prediction"]]
