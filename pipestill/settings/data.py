"""Sections about data: files, and how long documents may be."""

from pathlib import PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from pipestill.settings.section import Count, Name, Section

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FileConfig(Section):
    """One file of a task that has several."""

    path: str | None = None
    """A local file, or a folder of documents; or give `url`."""
    url: str | None = None
    """Its address: http(s):// or file://."""
    sha256: Sha256 | None = None
    """Digest that the file must have; recorded, not checked, when absent."""
    limit: Count | None = None
    """Only the first so many rows; all when absent."""
    use: Literal["divide", "train", "validation", "test"] | None = None
    """What documents are for: `divide` them among all splits, or one split alone. Where absent: what the name of the
    file says (`train`, `validation`, `test`), else `divide`."""

    @model_validator(mode="after")
    def _one_origin(self):
        if (self.path is None) == (self.url is None):
            raise ValueError("give either `path` or `url`")
        return self

    @property
    def suffix(self) -> str:
        """How its name ends, without what follows a question mark in an address."""
        return PurePosixPath(self.path or urlsplit(self.url).path).suffix.lower()

    def use_of(self, name: str) -> str:
        """What its documents are for, where it is called ``name``."""
        return self.use or (name if name in ("train", "validation", "test") else "divide")


class CropConfig(Section):
    """How long documents may be."""

    unit: Literal["chars", "tokens"] = "chars"
    """What is counted."""
    tokenizer: Name | None = None
    """The key of `models` whose tokens are counted."""
    boundary: Literal["none", "word", "sentence"] = "sentence"
    """Where a text may end: anywhere, between words, between sentences (words where not even the first one fits)."""
    text: Count | None = None
    """Units that an input may have; no limit when absent."""
    target: Count | None = None
    """Units that an output to learn from may have; references are never cropped."""
    rationale: Count | None = None
    """Units that a rationale may have."""
    test_texts: bool = True
    """Whether the inputs of test rows are cropped too."""

    @model_validator(mode="after")
    def _tokens_have_a_tokenizer(self):
        if (self.unit == "tokens") != (self.tokenizer is not None):
            raise ValueError("`unit: tokens` needs `tokenizer`, a key of `models`, and `unit: chars` has no use for it")
        return self
