"""Sections about data: where they come from, and how they are checked, cropped and divided."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipestill.config.annotation import AnnotationConfig
from pipestill.config.section import Count, Name, Part, Section, Seed, Share
from pipestill.tasks import Task

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SplitsConfig(Section):
    """How a task's rows are divided: in a task with classes, test and validation are drawn equal per class; in one
    without, test sets have files of their own. The rest is for training."""

    seed: Seed = 42
    """Seed of the draw."""
    test_per_class: Count | None = None
    """Test rows of each class; or give `test_frac`."""
    test_frac: Part | None = None
    """Test rows as a share of all rows, equal per class."""
    val_per_class: Count | None = None
    """Validation rows of each class; or give `val_frac`."""
    val_frac: Part | None = None
    """Validation rows as a share of all rows, equal per class."""
    val_rows: Count | None = None
    """Validation rows out of the training file, in a task without classes; or give a validation file."""
    val_draw: Literal["random", "first"] = "random"
    """Which rows `val_rows` takes: drawn at random, or the first of the file, as published splits do."""
    teacher_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the rest that trains the teacher and that students never see; 0: the teacher trains on the training
    split."""

    @model_validator(mode="after")
    def _one_size_each(self):
        for split in ("test", "val"):
            if getattr(self, f"{split}_per_class") is not None and getattr(self, f"{split}_frac") is not None:
                raise ValueError(f"give either `{split}_per_class` or `{split}_frac`")
        return self


class FileConfig(Section):
    """One file of a task that has several."""

    path: str | None = None
    """A local file; or give `url`."""
    url: str | None = None
    """Its address: http(s):// or file://."""
    sha256: Sha256 | None = None
    """Digest that the file must have; recorded, not checked, when absent."""
    limit: Count | None = None
    """Only the first so many rows; all when absent."""

    @model_validator(mode="after")
    def _one_origin(self):
        if (self.path is None) == (self.url is None):
            raise ValueError("give either `path` or `url`")
        return self


class SourceConfig(Section):
    """Where a task's raw data come from."""

    source: Literal["synthetic", "file", "url", "files"] = "synthetic"
    """`synthetic`: the project's own seeded generator; `file`: a local file; `url`: http(s):// or file://; `files`:
    several files, for a task with test sets."""
    path: str | None = None
    """The file, for `source: file`."""
    url: str | None = None
    """The address, for `source: url`."""
    sha256: Sha256 | None = None
    """Digest that the data must have; recorded, not checked, when absent."""
    files: dict[Name, FileConfig] = {}
    """The files, for `source: files`, by what they are: `train`, `validation` (or give `splits.val_rows`) and the names
    of test sets."""
    test_sets: Annotated[list[str], Field(min_length=1)] | None = None
    """Test sets to take, for a task that has some; all of them when absent."""
    rows: Count = 6000
    """Rows to generate, for `source: synthetic`; those to train and validate on, in a task with test sets."""
    test_rows: Count = 500
    """Rows to generate of each test set."""
    seed: Seed = 1
    """Seed of the generator, for `source: synthetic`."""

    @model_validator(mode="after")
    def _source_is_complete(self):
        for source, key in (("file", "path"), ("url", "url"), ("files", "files")):
            if self.source == source and not getattr(self, key):
                raise ValueError(f"`source: {source}` needs `{key}`")
        return self

    def local_files(self) -> dict[str, str]:
        """Paths of local data files by the key that names them."""
        if self.source == "file":
            return {"path": self.path}
        several = self.files.items() if self.source == "files" else ()
        return {f"files.{role}.path": file.path for role, file in several if file.path is not None}

    def test_sets_of(self, task: Task) -> list[str]:
        """The test sets of ``task`` that are taken, in the task's order."""
        return [name for name in task.test_sets if self.test_sets is None or name in self.test_sets]

    def roles_of(self, task: Task) -> list[str]:
        """The roles of the raw files of a ``task`` with test sets: these, `validation` where it has a file, `train`."""
        validation = ["validation"] if self.source == "files" and "validation" in self.files else []
        return [*self.test_sets_of(task), *validation, "train"]


class TaskConfig(SourceConfig):
    """Where a task's data come from, and how they are checked, cropped and divided."""

    max_bad_share: Share = 0.02
    """Share of unusable rows (no label or answer, unknown label, empty text, broken JSON) above which the run stops."""
    max_chars: Count = 2000
    """Inputs longer than this many characters are cropped at a word boundary. Where rows bring instructions, these are
    counted too, and are the last to be cropped."""
    template: Literal["plain", "alpaca"] = "plain"
    """How a row's instruction and input become one message: `plain`, one below the other; `alpaca`, with the wording of
    Stanford Alpaca."""
    null_inputs: list[str] | None = None
    """Content-free inputs for `multi_null` calibration; the task's own when absent."""
    splits: SplitsConfig
    """The division into teacher, train, validation and test rows."""
    annotation: AnnotationConfig | None = None
    """Who writes rationales, for methods that learn from them."""
