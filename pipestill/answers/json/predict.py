"""JSON: generated as the schema allows, or freely."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipestill.answers.base import Said
from pipestill.answers.generated.predict import Asked, ask, ask_records, drawn, predict_records, replies_to, said_of
from pipestill.answers.json import JsonOptions
from pipestill.inference.constrained.constraint import Constraint
from pipestill.inference.loaded import Loaded
from pipestill.inference.question import Listen, Question
from pipestill.inference.work import Work
from pipestill.io.records import Json, Record, by_split
from pipestill.schemas.schema import NotJson, Schema
from pipestill.schemas.schema import parse as parse_answer
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.jobs import Asking
from pipestill.tasks import Task


def predict(task: Task, loaded: Loaded, asking: Asking, records: Sequence[Record], work: Work, directory: Path) -> None:
    """Write ``predictions.jsonl`` and ``queries.json`` of one run to ``directory``."""
    options = task.answers.options(asking.answers)
    held = _held(task, loaded, options)

    def answer(part: Sequence[Record], own: Work) -> Asked:
        return ask_records(loaded, asking, options, part, own, **held)

    predict_records(loaded, answer, by_split(records)["test"], work, directory)


def say(task: Task, loaded: Loaded, asking: Asking, prompts: Mapping[str, str], work: Work) -> dict[str, Said]:
    """Answer ``prompts`` by key: an output per sampling seed, or the greedy one."""
    options = task.answers.options(asking.answers)
    return said_of(ask(loaded, asking, options, prompts, work, **_held(task, loaded, options)))


def draw(
    task: Task, loaded: Loaded, asking: Asking, decoding: GenerationConfig, prompts: Mapping[str, str], work: Work
) -> dict[str, list[str]]:
    """Draw answers to ``prompts`` by key, one a seed of ``decoding``."""
    return drawn(loaded, asking, decoding, prompts, work, **_held(task, loaded, task.answers.options(asking.answers)))


def replies(
    task: Task,
    loaded: Loaded,
    asking: Asking,
    questions: Sequence[Question],
    run: Path | None,
    listen: Listen | None = None,
) -> Iterator[tuple[int, Json]]:
    """Answer ``questions``; see :func:`~pipestill.answers.generated.predict.replies_to`.

    ``faults`` say what is not valid by the schema. Pieces of an answer that is cut are of what was written; its
    ``prediction`` is made whole.
    """
    options = task.answers.options(asking.answers)
    schema, held = loaded.once(
        ("schema", asking.model_dump_json()),
        lambda: (task.answers.schema_of(options), _held(task, loaded, options)),
    )
    for place, reply in replies_to(loaded, asking, options, questions, listen, **held):
        yield place, {**reply, "faults": _faults(schema, reply["prediction"])}


def _faults(schema: Schema, prediction: str) -> list[str]:
    try:
        return schema.validate(parse_answer(prediction))
    except NotJson as error:
        return [f"this is not JSON: {error}"]


def lines(reply: Json) -> list[str]:
    """A reply for people: the answer, and what is not valid."""
    return [reply["prediction"], *reply["faults"]]


def _held(task: Task, loaded: Loaded, options: JsonOptions) -> dict[str, Any]:
    """The constraint that generation is held to, if it is."""
    if options.decoding == "free":
        return {}
    return {"constraint": Constraint.of(task.answers.schema_of(options), loaded.tokenizer, loaded.model)}
