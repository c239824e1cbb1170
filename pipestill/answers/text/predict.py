"""Text: generated; where a metric asks for it, how likely the references are is read too."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipestill.answers.base import Said
from pipestill.answers.generated.predict import ask, ask_records, drawn, replies_to, said_of, written
from pipestill.inference.likelihood import likelihoods
from pipestill.inference.loaded import Loaded
from pipestill.inference.question import Listen, Question
from pipestill.inference.work import Work
from pipestill.io.records import Json, Record, of_split, write_jsonl
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.jobs import Asking
from pipestill.tasks import Task


def predict(task: Task, loaded: Loaded, asking: Asking, records: list[Record], work: Work, directory: Path) -> None:
    """Write ``predictions.jsonl`` and ``queries.json`` of one run to ``directory``.

    Where the task has perplexity among its metrics and test records have references, there is a ``likelihood.jsonl``.
    """
    tested, options = of_split(records, "test"), task.answers.options(asking.answers)
    rows = written(loaded, ask_records(loaded, asking, options, tested, work), tested, directory)
    referenced = [record for record in tested if record.references]
    if "perplexity" in task.answers.metrics and referenced:
        rationales = {row["id"]: row["rationale"] for row in reversed(rows) if row.get("rationale") is not None}
        found = likelihoods(loaded, asking, referenced, work.label, rationales)
        write_jsonl(directory / "likelihood.jsonl", found)


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
