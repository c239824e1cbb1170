"""Sections about data: where they come from, and how they are checked, cropped and divided."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipestill.plan.datasets import published_datasets
from pipestill.settings.annotation import AnnotationConfig
from pipestill.settings.data import CropConfig, FileConfig, Sha256
from pipestill.settings.section import Count, Name, Part, Section, Seed, Share
from pipestill.tasks import Task
from pipestill.text.sentences import Splitter


class SplitsConfig(Section):
    """How a task's rows are divided: in a task with classes, test and validation are drawn equal per class; in one
    with test sets, those have files of their own; one of documents is divided by case. The rest is for training."""

    seed: Seed = 42
    """Seed of the draw."""
    test_per_class: Count | None = None
    """Test rows of each class; or give `test_frac`."""
    test_frac: Part | None = None
    """Test rows as a share of all rows, equal per class; of all cases, in a task of documents."""
    val_per_class: Count | None = None
    """Validation rows of each class; or give `val_frac`."""
    val_frac: Part | None = None
    """Validation rows as a share of all rows, equal per class; of all cases, in a task of documents."""
    val_rows: Count | None = None
    """Validation rows out of the training file, in a task without classes; or give a validation file."""
    val_draw: Literal["random", "first"] = "random"
    """Which rows `val_rows` takes: drawn at random, or the first of the file, as published splits do."""
    unit: Literal["case", "row"] = "case"
    """Of documents: `case` keeps all that belong to one case in one split, in every language; `row` divides the rows of
    each language by themselves, as published recipes do."""
    teacher_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the rest that trains the teacher and that students never see; 0: the teacher trains on the training
    split."""

    @model_validator(mode="after")
    def _one_size_each(self):
        for split in ("test", "val"):
            if getattr(self, f"{split}_per_class") is not None and getattr(self, f"{split}_frac") is not None:
                raise ValueError(f"give either `{split}_per_class` or `{split}_frac`")
        return self


class SourceConfig(Section):
    """Where a task's raw data come from."""

    source: Literal["synthetic", "file", "url", "files", "published"] = "synthetic"
    """`synthetic`: the project's own seeded generator; `file`: a local file; `url`: http(s):// or file://; `files`:
    several files, for a task with test sets or of documents; `published`: `datasets`."""
    path: str | None = None
    """The file, for `source: file`."""
    url: str | None = None
    """The address, for `source: url`."""
    sha256: Sha256 | None = None
    """Digest that the data must have; recorded, not checked, when absent."""
    files: dict[Name, FileConfig] = {}
    """The files, for `source: files`, by what they are: `train`, `validation` (or give `splits.val_rows`) and the names
    of test sets. Documents lie in zip archives, folders or tables (.jsonl, .json, .csv) of any name."""
    datasets: list[Name] = []
    """Names in `resources/datasets.yaml`, for `source: published`."""
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
        for source, key in (("file", "path"), ("url", "url"), ("files", "files"), ("published", "datasets")):
            if self.source == source and not getattr(self, key):
                raise ValueError(f"`source: {source}` needs `{key}`")
        self.files_of()
        return self

    def files_of(self) -> dict[str, FileConfig]:
        """The files by name, with those of published datasets."""
        if self.source == "published":
            return {name: FileConfig(**_published(name)) for name in self.datasets}
        return self.files

    def local_files(self) -> dict[str, str]:
        """Paths of local data files by the key that names them."""
        if self.source == "file":
            return {"path": self.path}
        several = self.files_of().items() if self.source == "files" else ()
        return {f"files.{role}.path": file.path for role, file in several if file.path is not None}

    def test_sets_of(self, task: Task) -> list[str]:
        """The test sets of ``task`` that are taken, in the task's order."""
        return [name for name in task.test_sets if self.test_sets is None or name in self.test_sets]

    def roles_of(self, task: Task) -> list[str]:
        """The roles of the raw files of a ``task`` with test sets: these, `validation` where it has a file, `train`."""
        validation = ["validation"] if self.source == "files" and "validation" in self.files else []
        return [*self.test_sets_of(task), *validation, "train"]


def _published(name: str) -> dict[str, str]:
    known = published_datasets()
    if name not in known:
        raise ValueError(f"datasets: `{name}` is none of {', '.join(known)}")
    return {key: known[name][key] for key in ("url", "sha256", "use") if known[name].get(key)}


class TaskConfig(SourceConfig):
    """Where a task's data come from, and how they are checked, cropped and divided."""

    max_bad_share: Share = 0.02
    """Share of unusable rows (no label or answer, unknown label, empty text, broken JSON) above which the run stops."""
    max_chars: Count = 2000
    """Inputs longer than this many characters are cropped at a word boundary. Where rows bring instructions, these are
    counted too, and are the last to be cropped. Documents have `crop` instead."""
    crop: CropConfig = CropConfig()
    """How long documents may be, in a task of documents."""
    splitter: Splitter = "sentencex"
    """What finds the sentences of documents and summaries: `sentencex`, or `punkt`, for which nltk's data `punkt_tab`
    must be on the machine."""
    template: Literal["plain", "alpaca"] = "plain"
    """How a row's instruction and input become one message: `plain`, one below the other; `alpaca`, with the wording of
    Stanford Alpaca."""
    null_inputs: list[str] | None = None
    """Content-free inputs for `multi_null` calibration; the task's own when absent."""
    splits: SplitsConfig
    """The division into teacher, train, validation and test rows."""
    annotation: AnnotationConfig | None = None
    """Who writes rationales, for methods that learn from them."""
