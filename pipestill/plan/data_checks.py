"""Which keys of a task's data fit which kind of task; every sentence names the key to change."""

from pipestill.plan.data import TaskConfig
from pipestill.settings.section import Section
from pipestill.tasks import Task

ONE_FILE = ("test_per_class", "test_frac", "val_per_class", "val_frac")  # of `splits`, for tasks with classes
OF_TEST_SETS = ("files", "test_sets", "template")
SEVERAL_FILES = ("val_rows", "val_draw")  # of `splits`, for tasks with test sets
OF_DOCUMENTS = ("crop", "datasets", "splitter")
SUFFIXES = (".zip", ".jsonl", ".json", ".csv")  # of what documents are fetched in


def check_data(path: str, config: TaskConfig, task: Task) -> None:
    """Refuse keys that ``task`` has no use for, and the lack of those that it needs; ``path`` is the section's."""
    if task.collection is not None:
        return _check_documents(path, config, task)
    _refuse(path, config, OF_DOCUMENTS, f"`{task.name}` is no task of documents")
    _refuse(f"{path}.splits", config.splits, ("unit",), f"`{task.name}` is no task of documents")
    for name, file in config.files.items():
        _refuse(f"{path}.files.{name}", file, ("use",), f"`{task.name}` is no task of documents")
    return (_check_with_classes if task.ranks_labels else _check_with_test_sets)(path, config, task)


def _refuse(path: str, section: Section, keys: tuple[str, ...], why: str) -> None:
    """Refuse ``keys`` that do not have their default."""
    for key in keys:
        field = type(section).model_fields[key]
        if getattr(section, key) != field.get_default(call_default_factory=True):
            raise ValueError(f"{path}.{key}: {why}; remove the key")


def _check_with_classes(path: str, config: TaskConfig, task: Task) -> None:
    if config.source == "files":
        raise ValueError(f"{path}.source: `{task.name}` has one file; use `file`, `url` or `synthetic`")
    why = f"`{task.name}` has classes and no test sets"
    _refuse(path, config, OF_TEST_SETS, why)
    _refuse(f"{path}.splits", config.splits, SEVERAL_FILES, why)
    for split in ("test", "val"):
        if getattr(config.splits, f"{split}_per_class") is None and getattr(config.splits, f"{split}_frac") is None:
            raise ValueError(f"{path}.splits: give either `{split}_per_class` or `{split}_frac`")


def _check_with_test_sets(path: str, config: TaskConfig, task: Task) -> None:
    if config.source in ("file", "url", "published"):
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


def _check_documents(path: str, config: TaskConfig, task: Task) -> None:
    if config.source in ("file", "url"):
        raise ValueError(f"{path}.source: `{task.name}` takes several files; use `files`, `published` or `synthetic`")
    why = f"`{task.name}` is a task of documents"
    _refuse(path, config, ("test_sets", "template", "null_inputs", "max_chars"), why)
    _refuse(f"{path}.splits", config.splits, ("test_per_class", "val_per_class", *SEVERAL_FILES), why)
    uses = set()
    for name, file in config.files_of().items():
        if file.url and file.suffix not in SUFFIXES:
            raise ValueError(f"{path}.files.{name}.url: it ends in none of {', '.join(SUFFIXES)}")
        uses.add(file.use_of(name))
    _check_shares(path, config, uses or {"divide"})


def _check_shares(path: str, config: TaskConfig, uses: set[str]) -> None:
    """Every split must have a source: a share of the cases that are divided, or files of its own."""
    for split, key in (("test", "test_frac"), ("validation", "val_frac")):
        if split in uses:
            continue
        if "divide" not in uses:
            raise ValueError(f"{path}.files: none is for {split}, and none is divided")
        if getattr(config.splits, key) is None:
            raise ValueError(f"{path}.splits: give `{key}`, or a file for {split}")
    if not uses & {"divide", "train"}:
        raise ValueError(f"{path}.files: none is for training")
    if (config.splits.test_frac or 0) + (config.splits.val_frac or 0) >= 1:
        raise ValueError(f"{path}.splits: `test_frac` and `val_frac` leave nothing to train on")
