"""Sections about data: where they come from, and how they are checked, cropped and divided."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipestill.config.section import Count, Part, Section, Seed, Share


class SplitsConfig(Section):
    """How a task's rows are divided; test and validation are drawn equal per class, the rest is for training."""

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
    teacher_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the rest that trains the teacher and that students never see; 0: the teacher trains on the training
    split."""

    @model_validator(mode="after")
    def _one_size_each(self):
        for split in ("test", "val"):
            if (getattr(self, f"{split}_per_class") is None) == (getattr(self, f"{split}_frac") is None):
                raise ValueError(f"give either `{split}_per_class` or `{split}_frac`")
        return self


class SourceConfig(Section):
    """Where a task's raw data come from."""

    source: Literal["synthetic", "file", "url"] = "synthetic"
    """`synthetic`: the project's own seeded generator; `file`: a local file; `url`: http(s):// or file://."""
    path: str | None = None
    """The file, for `source: file`."""
    url: str | None = None
    """The address, for `source: url`."""
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    """Digest that the data must have; recorded, not checked, when absent."""
    rows: Count = 6000
    """Rows to generate, for `source: synthetic`."""
    seed: Seed = 1
    """Seed of the generator, for `source: synthetic`."""

    @model_validator(mode="after")
    def _source_is_complete(self):
        if self.source == "file" and not self.path:
            raise ValueError("`source: file` needs `path`")
        if self.source == "url" and not self.url:
            raise ValueError("`source: url` needs `url`")
        return self


class TaskConfig(SourceConfig):
    """Where a task's data come from, and how they are checked, cropped and divided."""

    max_bad_share: Share = 0.02
    """Share of unusable rows (no label, unknown label, empty text, broken JSON) above which the run stops."""
    max_chars: Count = 2000
    """Inputs longer than this many characters are cropped at a word boundary."""
    null_inputs: list[str] | None = None
    """Content-free inputs for `multi_null` calibration; the task's own when absent."""
    splits: SplitsConfig
    """The division into teacher, train, validation and test rows."""
