"""Checks of the annotation of a task; every message names the key to change."""

from dataclasses import fields

from pipestill.errors import shortened
from pipestill.io.records import Record
from pipestill.settings.annotation import RATIONALE, AnnotationConfig
from pipestill.settings.json_schema import check_json_schema
from pipestill.tasks import Task
from pipestill.text.gaps import gaps

OF_OTHER_KEYS = {  # fields of a request, and where they come from
    "model": "`model`",
    "models": "`model`",
    "messages": "`steps`",
    "max_tokens": "`max_tokens` of a step",
    "max_completion_tokens": "`max_tokens` of a step",
    "temperature": "`temperature`",
    "top_p": "`top_p`",
    "seed": "`seed`",
}
NOT_SET_ASIDE = ("n", "best_of", "tools", "functions", "plugins", "web_search_options")
STREAMS = ("stream", "stream_options")


def check_annotation(path: str, settings: AnnotationConfig, task: Task) -> None:
    """Refuse requests that the job cannot send, pay or read; ``path`` is the section's."""
    _check_extra_body(f"{path}.extra_body", settings)
    known, taken = list(task.text_fields), {each.name for each in fields(Record)} | set(task.inputs)
    for number, step in enumerate(settings.steps):
        where = f"{path}.steps.{number}"
        if not gaps(step.prompt):
            raise ValueError(
                f"{where}.prompt: it names no text, so all records would be asked the same; put a field such as "
                f"`{{{task.inputs[0]}}}` into it"
            )
        for key in ("system", "prompt"):
            for name in gaps(getattr(step, key) or ""):
                if name not in known:
                    raise ValueError(
                        f"{where}.{key}: `{{{shortened(name)}}}` is neither a text of the records nor the answer of an "
                        f"earlier step; there are: {', '.join(known)}"
                    )
        if step.out in taken and step.out != RATIONALE:
            raise ValueError(f"{where}.out: `{step.out}` is a field of the records; give the answer another name")
        if step.json_schema is not None:
            try:
                check_json_schema(step.json_schema)
            except ValueError as error:
                raise ValueError(f"{where}.json_schema: {error}") from None
        known.append(step.out)


def _check_extra_body(path: str, settings: AnnotationConfig) -> None:
    """Refuse fields that the client sets itself, and those that the budget does not count on."""
    others = OF_OTHER_KEYS | ({"provider": "`routing`"} if settings.provider == "openrouter" else {})
    for field in settings.extra_body:
        if field in others:
            raise ValueError(f"{path}.{field}: this comes from {others[field]} of the annotation; remove it here")
        if field in NOT_SET_ASIDE:
            raise ValueError(f"{path}.{field}: the budget sets money aside for a prompt and one answer; remove it")
        if field in STREAMS:
            raise ValueError(f"{path}.{field}: answers are read whole; remove it")
