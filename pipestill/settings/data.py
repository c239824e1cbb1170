"""Sections about data files."""

from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from pipestill.settings.places import Address, LocalPath
from pipestill.settings.section import CleanText, Count, Section

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]


class FileConfig(Section):
    """One file of a task that has several."""

    path: LocalPath | None = None
    """A local file, or a folder of documents; or give `url`."""
    url: Address | None = None
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

    @property
    def suffix(self) -> str:
        """Ending of its name, without the query of an address."""
        return PurePosixPath(self.path or urlsplit(self.url).path).suffix.lower()


class RowsFile(FileConfig):
    """One file of rows, which may lie in a zip archive."""

    member: CleanText | None = None
    """Path of the file inside the zip archive that `path` or `url` is, whose digest is `sha256`."""
