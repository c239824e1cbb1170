"""Stored rows: arrays of rows, tokens and entries, one after another, and what finds a row in them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pipestill.teacher.distributions.arrays import create_arrays, open_arrays

KEY_BYTES = 32


@dataclass(frozen=True)
class Array:
    """One array of a shard.

    Attributes:
        level: whether a row has one element of it, or one for each of its tokens, or as many as it likes (``entry``).
        dtype: type of a number, as in ``numpy``, little-endian.
        width: shape of an element.
    """

    level: Literal["row", "token", "entry"]
    dtype: str
    width: tuple[int, ...] = ()


Layout = Mapping[str, Array]
Row = Mapping[str, np.ndarray]
COMMON: Layout = {"keys": Array("row", "u1", (KEY_BYTES,)), "gold": Array("token", "f4")}
"""Arrays of every shard: sha256 of the content, exact log-probability of the gold token."""


class Shard:
    """The rows of one file.

    Args:
        path: file that :func:`write_shard` wrote.
        layout: of the codec; what all shards have is added.
    """

    def __init__(self, path: Path, layout: Layout):
        self.path = Path(path)
        self.layout = {**COMMON, **layout}
        self.arrays = open_arrays(path)
        self._keys = self.arrays["keys"].view(f"S{KEY_BYTES}").ravel()
        self._offsets = {
            "row": np.arange(len(self._keys) + 1),
            **{level: self.arrays[f"{level}_offsets"] for level in _ragged(self.layout)},
        }

    def __len__(self) -> int:
        """Rows."""
        return len(self._keys)

    def keys(self) -> list[str]:
        """Keys of all rows, in hex."""
        return [key.tobytes().hex() for key in self.arrays["keys"]]

    def find(self, key: str) -> int | None:
        """Index of the row with this key, in a file whose rows are sorted by key."""
        wanted = bytes.fromhex(key)
        index = int(np.searchsorted(self._keys, np.bytes_(wanted)))
        return index if index < len(self) and self.arrays["keys"][index].tobytes() == wanted else None

    def row(self, index: int) -> Row:
        """Views of the arrays of one row."""
        ends = {level: (offsets[index], offsets[index + 1]) for level, offsets in self._offsets.items()}
        return {name: self.arrays[name][slice(*ends[array.level])] for name, array in self.layout.items()}

    def sizes(self, index: int) -> dict[str, int]:
        """Elements of one row, by level."""
        return {level: int(offsets[index + 1] - offsets[index]) for level, offsets in self._offsets.items()}


def write_shard(
    path: Path,
    layout: Layout,
    rows: Iterable[Row],
    sizes: Sequence[Mapping[str, int]],
    extra: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write rows one after another.

    Args:
        path: file to write, in one step.
        layout: of the codec.
        rows: in the order in which they are written; taken one by one.
        sizes: elements of each row, by level.
        extra: further arrays, which belong to no row.
    """
    layout, extra = {**COMMON, **layout}, extra or {}
    offsets = {
        level: np.cumsum([0, *(row[level] for row in sizes)], dtype=np.int64) for level in ("row", *_ragged(layout))
    }
    shapes = {name: (array.dtype, (int(offsets[array.level][-1]), *array.width)) for name, array in layout.items()}
    shapes |= {f"{level}_offsets": ("i8", (len(sizes) + 1,)) for level in _ragged(layout)}
    shapes |= {name: (array.dtype.str[1:], array.shape) for name, array in extra.items()}
    with create_arrays(path, shapes) as arrays:
        for level in _ragged(layout):
            arrays[f"{level}_offsets"][:] = offsets[level]
        for name, values in extra.items():
            arrays[name][:] = values
        for index, row in enumerate(rows):
            for name, array in layout.items():
                arrays[name][offsets[array.level][index] : offsets[array.level][index + 1]] = row[name]


def sizes_of(row: Row, layout: Layout) -> dict[str, int]:
    """Elements of a row, by level."""
    return {array.level: len(row[name]) for name, array in {**COMMON, **layout}.items()}


def join(rows: Sequence[Row], names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays of several rows, one after another; all of them, or those of ``names``."""
    return {name: np.concatenate([row[name] for row in rows]) for name in names or rows[0]}


def _ragged(layout: Layout) -> list[str]:
    return [level for level in ("token", "entry") if any(array.level == level for array in layout.values())]
