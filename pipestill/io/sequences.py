"""Long sequences, of which memory holds numbers alone: rows in a file, and choices among rows."""

import os
import tempfile
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import BinaryIO, Generic, TypeVar, overload

import numpy as np

T = TypeVar("T")
V = TypeVar("V")


class Stored(Sequence[T], Generic[T]):
    """Lines of a file, each read when it is asked for; 8 bytes of memory a line.

    Args:
        file: that they lie in, open for reading bytes.
        read: the number of a line, from 1, and its bytes to what it holds.
    """

    def __init__(self, file: BinaryIO, read: Callable[[int, bytes], T]):
        self._file, self._read, self._ends = file, read, array("q", [0])
        for line in file:
            self._ends.append(self._ends[-1] + len(line))

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place):
        """A line, or some of them."""
        if isinstance(place, slice):
            return Chosen(self, np.arange(len(self))[place])
        number = range(len(self))[place]
        start, end = self._ends[number], self._ends[number + 1]
        return self._read(number + 1, os.pread(self._file.fileno(), end - start, start))


class Spool(Stored[T]):
    """Rows that wait in a temporary file, which is gone with them.

    Args:
        write: a row to its line.
        read: a line to its row.
    """

    def __init__(self, write: Callable[[T], bytes], read: Callable[[bytes], T]):
        super().__init__(tempfile.TemporaryFile(), lambda _, line: read(line))  # noqa: SIM115 (it stays open)
        self._write = write

    def append(self, row: T) -> None:
        """Add a row behind the others."""
        self._ends.append(self._ends[-1] + self._file.write(self._write(row)))

    def __getitem__(self, place):
        """A row, or some of them."""
        self._file.flush()
        return super().__getitem__(place)


class Chosen(Sequence[T], Generic[T]):
    """Some rows of a sequence, in an order of their own.

    Attributes:
        rows: the sequence.
        places: of those that are chosen, ``[chosen]``.
        change: what becomes of a row as it is read; none: it stays as it is.
    """

    def __init__(self, rows: Sequence[T], places: np.ndarray, change: Callable[[T], T] | None = None):
        self.rows, self.places, self.change = rows, places, change

    def __len__(self) -> int:
        """How many are chosen."""
        return len(self.places)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place):
        """One of them, or some."""
        if isinstance(place, slice):
            return Chosen(self.rows, self.places[place], self.change)
        row = self.rows[int(self.places[place])]
        return self.change(row) if self.change else row

    def __iter__(self) -> Iterator[T]:
        """Over all of them."""
        return (self[place] for place in range(len(self)))


class ByKey(Mapping[str, V], Generic[T, V]):
    """Rows of a sequence by a key, the last one where several have it; 16 bytes of memory a row.

    Args:
        rows: the sequence.
        key: of a row.
        value: what a row is read as.
    """

    def __init__(self, rows: Sequence[T], key: Callable[[T], str], value: Callable[[T], V]):
        self._rows, self._key, self._value = rows, key, value
        hashes = np.fromiter((hash(key(row)) for row in rows), np.int64, len(rows))
        self._places = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._places]

    def __getitem__(self, key: str) -> V:
        """The row of a key."""
        start, end = (np.searchsorted(self._hashes, hash(key), side) for side in ("left", "right"))
        for place in reversed(self._places[start:end]):
            if self._key(row := self._rows[int(place)]) == key:
                return self._value(row)
        raise KeyError(key)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        """Over the keys."""
        return map(self._key, self._rows)


def shuffled(places: np.ndarray, rng: Random) -> np.ndarray:
    """``places`` in the order that ``rng`` gives a list of as many."""
    order = array("q", places.astype(np.int64).tobytes())
    rng.shuffle(order)
    return np.frombuffer(order, dtype=np.int64)


def first_of_each(keys: np.ndarray) -> np.ndarray:
    """Where the first of those that have the same key stands, ``[rows]``, for keys ``[rows]``."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    begins = np.ones(len(keys), dtype=bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    firsts = np.empty(len(keys), dtype=np.int64)
    firsts[order] = order[np.maximum.accumulate(np.where(begins, np.arange(len(keys)), 0))]
    return firsts
