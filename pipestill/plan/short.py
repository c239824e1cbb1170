"""Short forms of tasks in a configuration, written out."""

from typing import Any

from pipestill.errors import shortened
from pipestill.layouts.any_rows import AnyRows
from pipestill.settings.prompts import LABEL
from pipestill.tasks import TASKS
from pipestill.tasks.base import ANSWER
from pipestill.text.gaps import gaps

SOURCE_OF = {"path": "file", "url": "url"}  # keys that say what `source` is
SHARES = {"test": 0.2, "val": 0.1}  # of all rows, where a declared task says nothing of a split


def written_out(config: Any) -> Any:
    """A configuration whose tasks say everything where it belongs.

    A prompt that is a wording becomes the prompt ``answer``. In a task that the configuration declares, keys of its
    data may stand beside its answers, `path` and `url` say the source, its inputs are the gaps of its prompt, and test
    and validation rows have a share each.

    Raises:
        ValueError: something is said twice, or a prompt is neither a name nor a wording; begins with the key.
    """
    tasks = config.get("tasks") if isinstance(config, dict) else None
    if not isinstance(tasks, dict):
        return config
    return {**config, "tasks": {name: _task(name, task) for name, task in tasks.items()}}


def _task(name: str, task: Any) -> Any:
    if not isinstance(task, dict):
        return task
    made = _prompt(f"tasks.{name}", task)
    return made if name in TASKS or "answers" not in task else _declared(f"tasks.{name}", made)


def _prompt(path: str, task: dict[str, Any]) -> dict[str, Any]:
    wording, prompts = task.get("prompt"), task.get("prompts", {})
    if not isinstance(wording, str) or not isinstance(prompts, dict) or not any(map(wording.__contains__, "{ \n")):
        return task
    if not gaps(wording):
        raise ValueError(
            f"{path}.prompt: `{shortened(wording)}` is neither the name of a prompt nor a wording with a gap such as "
            "{text}; write the gap where the input belongs"
        )
    if ANSWER in prompts:
        raise ValueError(f"{path}.prompt: it is a wording, and `prompts.{ANSWER}` is another one; keep one of them")
    given = {"inputs": list(dict.fromkeys(gap for gap in gaps(wording) if gap != LABEL))} if "answers" in task else {}
    return {**given, **task, "prompt": ANSWER, "prompts": {**prompts, ANSWER: {"text": wording}}}


def _declared(path: str, task: dict[str, Any]) -> dict[str, Any]:
    data = task.get("data", {})
    short = {key: value for key, value in task.items() if key in AnyRows.Options.model_fields}
    if not isinstance(data, dict):
        return task
    for key in short:
        if key in data:
            raise ValueError(f"{path}: `{key}` stands here and in `data`; keep one of them")
    data = {**data, **short}
    for key, source in SOURCE_OF.items():
        if key in data:
            data.setdefault("source", source)
    splits = data.setdefault("splits", {})
    if isinstance(splits, dict):
        shares = {f"{key}_frac": share for key, share in SHARES.items() if not _sized(splits, key)}
        data["splits"] = {**splits, **shares}
    return {key: value for key, value in task.items() if key not in short} | {"data": data}


def _sized(splits: dict[str, Any], key: str) -> bool:
    return any(splits.get(f"{key}_{unit}") is not None for unit in ("rows", "frac"))
