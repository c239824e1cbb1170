"""Which keys of a task's data fit which kind of task; every sentence names the key to change."""

from pipestill.config.data import TaskConfig
from pipestill.tasks import Task

ONE_FILE = ("test_per_class", "test_frac", "val_per_class", "val_frac")  # of `splits`, for tasks with classes
OF_TEST_SETS = ("files", "test_sets", "template")
SEVERAL_FILES = ("val_rows", "val_draw")  # of `splits`, for tasks with test sets


def check_data(path: str, config: TaskConfig, task: Task) -> None:
    """Refuse keys that ``task`` has no use for, and the lack of those that it needs; ``path`` is the section's."""
    (_check_with_classes if task.ranks_labels else _check_with_test_sets)(path, config, task)


def _check_with_classes(path: str, config: TaskConfig, task: Task) -> None:
    if config.source == "files":
        raise ValueError(f"{path}.source: `{task.name}` has one file; use `file`, `url` or `synthetic`")
    for section, prefix, keys in ((config, "", OF_TEST_SETS), (config.splits, "splits.", SEVERAL_FILES)):
        for key in keys:
            if getattr(section, key) != type(section).model_fields[key].default:
                raise ValueError(f"{path}.{prefix}{key}: `{task.name}` has classes and no test sets; remove the key")
    for split in ("test", "val"):
        if getattr(config.splits, f"{split}_per_class") is None and getattr(config.splits, f"{split}_frac") is None:
            raise ValueError(f"{path}.splits: give either `{split}_per_class` or `{split}_frac`")


def _check_with_test_sets(path: str, config: TaskConfig, task: Task) -> None:
    if config.source in ("file", "url"):
        raise ValueError(f"{path}.source: `{task.name}` has several files; use `files` or `synthetic`")
    if config.null_inputs is not None:
        raise ValueError(f"{path}.null_inputs: `{task.name}` has no labels to calibrate; remove it")
    for key in ONE_FILE:
        if getattr(config.splits, key) is not None:
            raise ValueError(f"{path}.splits.{key}: `{task.name}` has no classes; use `val_rows`, or files")
    for name in config.test_sets or ():
        if name not in task.test_sets:
            raise ValueError(f"{path}.test_sets: `{name}` is none of {', '.join(task.test_sets)}")
        if config.test_sets.count(name) > 1:
            raise ValueError(f"{path}.test_sets: `{name}` is listed twice")
    _check_files(path, config, task)


def _check_files(path: str, config: TaskConfig, task: Task) -> None:
    roles = config.roles_of(task)
    if ("validation" in roles) == (config.splits.val_rows is not None):
        raise ValueError(f"{path}.splits: give either `val_rows` or a validation file under `files`")
    if config.source != "files":
        return
    known = ("train", "validation", *task.test_sets)
    for role in config.files:
        if role not in known:
            raise ValueError(f"{path}.files: `{role}` is none of {', '.join(known)}")
    for role in roles:
        if role not in config.files:
            raise ValueError(f"{path}.files: `{role}` is missing; give its `path` or `url`, or list other `test_sets`")
