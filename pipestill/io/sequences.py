"""Long sequences, of which memory holds numbers alone: rows in a file, and choices among rows."""

import os
import tempfile
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import eq
from random import Random
from typing import BinaryIO, Generic, TypeVar, overload

import numpy as np

BLOCK = 1 << 16  # texts that are encoded at a time
T = TypeVar("T")
V = TypeVar("V")


class Rows(Sequence[T], ABC, Generic[T]):
    """Rows that are read one by one; a slice of them is read as late."""

    @abstractmethod
    def row(self, place: int) -> T:
        """The row at a place, from 0."""

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place):
        """A row, or some of them."""
        places = range(len(self))[place]
        return Chosen(self, np.asarray(places)) if isinstance(place, slice) else self.row(places)


class Stored(Rows[T]):
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

    def row(self, place: int) -> T:
        """What a line holds."""
        start, end = self._ends[place], self._ends[place + 1]
        return self._read(place + 1, os.pread(self._file.fileno(), end - start, start))


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

    def row(self, place: int) -> T:
        """What was added at a place."""
        self._file.flush()
        return super().row(place)


class Chosen(Rows[T]):
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

    def row(self, place: int) -> T:
        """One of them."""
        row = self.rows[int(self.places[place])]
        return self.change(row) if self.change else row

    def __iter__(self) -> Iterator[T]:
        """Over all of them."""
        return map(self.row, range(len(self)))


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


class Texts(Sequence[str]):
    """Short texts, of which memory holds the bytes, as many for each as the longest has.

    Attributes:
        column: in UTF-8, ``[texts]``; they sort as the texts do.
    """

    def __init__(self, texts: Iterable[str] | np.ndarray):
        self.column = texts if isinstance(texts, np.ndarray) else _encoded(texts)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.column)

    def __getitem__(self, place):
        """A text, or some of them."""
        return Texts(self.column[place]) if isinstance(place, slice | np.ndarray) else self.column[place].decode()

    def __iter__(self) -> Iterator[str]:
        """Over all of them."""
        return (text.decode() for text in self.column)

    def __eq__(self, other: object) -> bool:
        """True for the same texts in the same order."""
        return isinstance(other, Texts) and np.array_equal(self.column, other.column)

    def without(self, others: "Texts") -> "Texts":
        """Those that are not among others, each once, sorted."""
        if np.array_equal(np.sort(self.column), np.sort(others.column)):  # which takes less memory
            return Texts(self.column[:0])
        return Texts(np.setdiff1d(self.column, others.column))


class Named(Sequence[T]):
    """Items of a few kinds, by their numbers.

    Attributes:
        numbers: of each item's kind, ``[items]``.
        kinds: by number.
    """

    def __init__(self, numbers: np.ndarray, kinds: Sequence[T]):
        self.numbers, self.kinds = numbers, list(kinds)

    @classmethod
    def of(cls, items: Iterable[T]) -> "Named[T]":
        """Items, kinds in the order in which they come."""
        kinds: dict[T, int] = {}
        return cls(np.fromiter((kinds.setdefault(item, len(kinds)) for item in items), np.int32), list(kinds))

    def counts(self) -> dict[T, int]:
        """How many there are of each kind, in the order in which they come."""
        numbers, first, counts = np.unique(self.numbers, return_index=True, return_counts=True)
        return {self.kinds[numbers[place]]: int(counts[place]) for place in np.argsort(first)}

    def mapped(self, value: Callable[[T], float]) -> np.ndarray:
        """A number for each item, by its kind, ``[items]``."""
        return np.array([value(kind) for kind in self.kinds])[self.numbers]

    def __len__(self) -> int:
        """How many items there are."""
        return len(self.numbers)

    def __getitem__(self, place):
        """An item, or some of them."""
        own = self.numbers[place]
        return Named(own, self.kinds) if isinstance(place, slice | np.ndarray) else self.kinds[own]

    def __iter__(self) -> Iterator[T]:
        """Over all of them."""
        return map(self.kinds.__getitem__, self.numbers)

    def __eq__(self, other: object) -> bool:
        """True for the same items in the same order."""
        if isinstance(other, Named) and self.kinds == other.kinds:
            return np.array_equal(self.numbers, other.numbers)
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))


class Kinds(Generic[T]):
    """The kinds of items that come one by one."""

    def __init__(self) -> None:
        self._numbers, self._kinds = array("i"), {}

    def append(self, kind: T) -> None:
        """The next item is of ``kind``."""
        self._numbers.append(self._kinds.setdefault(kind, len(self._kinds)))

    def places(self) -> dict[T, np.ndarray]:
        """Places of the items of each kind, kinds in the order in which they came."""
        numbers = np.frombuffer(self._numbers, np.int32)
        return {kind: np.flatnonzero(numbers == number) for kind, number in self._kinds.items()}


def _encoded(texts: Iterable[str]) -> np.ndarray:
    waiting = iter(texts)
    parts = [np.empty(0, dtype="S1")]
    while part := [text.encode() for text in islice(waiting, BLOCK)]:
        parts.append(np.array(part))
    return np.concatenate(parts)


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
