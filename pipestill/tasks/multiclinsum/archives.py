"""The layout in which MultiClinSum is published: a zip archive or folder of text files for each set and language.

    <set>/fulltext/multiclinsum_gs_en_1.txt           the case report
    <set>/summaries/multiclinsum_gs_en_1_sum.txt      its summary
    <set>/findings/multiclinsum_gs_en_1_key.txt       its key findings, only in synthetic data

Names hold the set (gs: gold standard, ls: large-scale, test), the language and the number of the case, the last two in
either order. Published archives have doubled folders, archives inside and single files without a counterpart.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pipestill.errors import UserError
from pipestill.io.archives import members, write_archive
from pipestill.io.normal import clean
from pipestill.layouts.documents import Found
from pipestill.layouts.example import BadRow

LANGUAGES = ("en", "es", "fr", "pt")
PARTS = {"input": ("fulltext", ""), "output": ("summaries", "_sum"), "findings": ("findings", "_key")}
_LANGUAGE = re.compile(rf"(?:^|[_/-])({'|'.join(LANGUAGES)})(?=[_/.-]|$)")

Row = dict[str, Any]


def read_set(source: Path, *, answered: bool = True) -> Found:
    """Read a zip archive or a folder: rows ``{"file", "language", "case", "input", "output"}``, with ``findings`` where
    there are some, by set, number and language.

    Args:
        source: the archive or folder.
        answered: a text without a summary is unusable; otherwise its ``output`` is empty, as in test sets
            whose summaries are held back.

    Raises:
        UserError: it cannot be read safely (see :func:`pipestill.io.archives.members`), or holds no text file.
    """
    found, documents = _Texts(Path(source).name), Found()
    for member in members(source):
        if member.content is None:
            documents.ignored.append(member.name)
        else:
            found.add(member.name, member.content)
    if not found.texts:
        inside = f"; it holds {documents.ignored[0]}, name such archives themselves" if documents.ignored else ""
        raise UserError(f"{source} holds no text file{inside}")
    for stem in sorted(found.texts, key=_order):
        documents.rows.append((stem, found.row(stem, answered)))
    return documents


class _Texts:
    """Texts of a set by document and part, and the faults of some."""

    def __init__(self, source: str):
        self._source = source
        self._path: dict[str, str] = {}
        self._wrong: dict[str, str] = {}
        self.texts: dict[str, dict[str, str]] = {}

    def add(self, path: str, content: bytes) -> None:
        part, stem = _part_of(PurePosixPath(path))
        texts = self.texts.setdefault(stem, {})
        self._path.setdefault(stem, path)
        try:
            text = clean(content.decode("utf-8-sig")).strip()
        except UnicodeDecodeError:
            self._wrong.setdefault(stem, f"{PARTS[part][0]}: not UTF-8 text")
            return
        if texts.setdefault(part, text) != text:
            self._wrong.setdefault(stem, f"{PARTS[part][0]}: two files with this name, and different texts")

    def row(self, stem: str, answered: bool) -> Row | BadRow:
        texts = self.texts[stem]
        if stem in self._wrong:
            return BadRow(self._wrong[stem])
        if "input" not in texts:
            return BadRow("summary without a full text")
        if "output" not in texts and answered:
            return BadRow("full text without a summary")
        language = language_of(stem) or language_of(self._path[stem]) or language_of(self._source)
        if language is None:
            return BadRow(f"no language ({', '.join(LANGUAGES)}) in its name or in that of its set")
        return {"file": stem, "language": language, "case": case_of(stem), "output": "", **texts}


def language_of(name: str) -> str | None:
    """The last language code that is a part of ``name`` by itself."""
    codes = _LANGUAGE.findall(name)
    return codes[-1] if codes else None


def case_of(stem: str) -> str:
    """A document's name without its language, which its versions in other languages share: "gs-12"."""
    return "-".join(word for word in _words(stem) if word not in LANGUAGES) or stem


def _part_of(path: PurePosixPath) -> tuple[str, str]:
    """Part that a file holds, by the end of its name or its folder, and its document's name."""
    for part, (folder, ending) in PARTS.items():
        if ending and path.stem.endswith(ending):
            return part, path.stem.removesuffix(ending)
        if ending and path.parent.name.lower() == folder:
            return part, path.stem
    return "input", path.stem


def _words(stem: str) -> list[str]:
    return [word for word in stem.removeprefix("multiclinsum_").split("_") if word]


def _order(stem: str) -> tuple[str, int, str]:
    """Documents come by set, number and language."""
    numbers = [int(word) for word in _words(stem) if re.fullmatch(r"[0-9]+", word)]
    return case_of(stem).rpartition("-")[0], numbers[-1] if numbers else -1, stem


def write_sets(rows: Iterable[Mapping[str, Any]], directory: Path) -> list[Path]:
    """Write rows as :func:`read_set` gives them, an archive for each language; the same rows give the same bytes."""
    by_language: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_language.setdefault(row["language"], []).append(row)
    paths = []
    for language, documents in sorted(by_language.items()):
        kind = case_of(documents[0]["file"]).rpartition("-")[0]
        path = Path(directory) / f"multiclinsum_{kind}_train_{language}.zip"
        texts = (
            (f"{path.stem}/{folder}/{row['file']}{ending}.txt", f"{row[part]}\n".encode())
            for part, (folder, ending) in PARTS.items()
            for row in documents
        )
        write_archive(path, texts)
        paths.append(path)
    return paths
