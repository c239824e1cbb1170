"""Text files that are read piece by piece, as often as needed: memory holds a piece, however long they are."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PIECE = 1 << 20  # bytes, or characters, that are read at a time


@dataclass(frozen=True)
class Text:
    """A text file whose encoding is known.

    Attributes:
        path: of the file.
        encoding: of its text, which drops a byte order mark.
        newline: what ends its lines: ``\\r`` where it has no ``\\n``.
    """

    path: Path
    encoding: str = "utf-8-sig"
    newline: str = "\n"

    def pieces(self) -> Iterator[str]:
        """Its text, some at a time; lines end with ``\\n``."""
        with self._opened("") as file:
            while piece := file.read(PIECE):
                yield piece if self.newline == "\n" else piece.replace("\r", "\n")

    def lines(self) -> Iterator[str]:
        """Its lines, without their ends."""
        with self._opened(self.newline) as file:
            yield from (line.removesuffix(self.newline) for line in file)

    def any_lines(self) -> Iterator[str]:
        """Its lines, whichever way each ends, with their ends."""
        with self._opened("") as file:
            yield from file

    def start(self) -> str:
        """The first piece that says something."""
        return next((piece for piece in self.pieces() if piece.strip()), "")

    def _opened(self, newline: str):
        return open(self.path, encoding=self.encoding, newline=newline)


@dataclass(frozen=True)
class Look:
    """What the bytes of a file say.

    Attributes:
        head: the first ones.
        utf8: whether they are UTF-8.
        zeros: share of them that are 0, as in UTF-16.
        newline: as :class:`Text` has it, if they are UTF-8.
    """

    head: bytes
    utf8: bool
    zeros: float
    newline: str


def look(path: Path) -> Look:
    """Look at every byte of a file.

    Raises:
        OSError: it cannot be read.
    """
    decoder, utf8, head, size, zeros, newline = codecs.getincrementaldecoder("utf-8")(), True, b"", 0, 0, "\r"
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            head = head or piece[:64]
            size += len(piece)
            zeros += piece.count(0)
            newline = "\n" if b"\n" in piece else newline
            utf8 = utf8 and _decodes(decoder, piece)
    return Look(head, utf8 and _decodes(decoder, b"", True), zeros / max(1, size), newline)


def _decodes(decoder: codecs.IncrementalDecoder, piece: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(piece, final)
    except UnicodeDecodeError:
        return False
    return True
