"""Files of named arrays: the safetensors format, written piece by piece and read through a memory map."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pipestill.errors import UserError
from pipestill.io.files import atomic_path

NAMES = {"u1": "U8", "u2": "U16", "i4": "I32", "i8": "I64", "f2": "F16", "f4": "F32"}
TYPES = {name: np.dtype(f"<{dtype}") for dtype, name in NAMES.items()}
ALIGNMENT = 8


@contextmanager
def create_arrays(path: Path, shapes: Mapping[str, tuple[str, tuple[int, ...]]]) -> Iterator[dict[str, np.ndarray]]:
    """Give writable arrays (type, shape by name); ``path`` appears, on the disk, when the block ends well.

    The same arrays give the same bytes.
    """
    layout, end = {}, 0
    for name, (dtype, shape) in sorted(shapes.items(), key=lambda item: (-np.dtype(item[1][0]).itemsize, item[0])):
        start, end = end, end + int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        layout[name] = {"dtype": NAMES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    header = json.dumps(layout, separators=(",", ":")).encode()
    header += b" " * (-len(header) % ALIGNMENT)
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            _take_room(file.fileno(), 8 + len(header) + end)
        memory = np.memmap(temporary, mode="r+")
        yield _views(memory, layout, 8 + len(header))
        memory.flush()
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())


def _take_room(file: int, size: int) -> None:
    """Make a file as long as it will be. Its bytes are taken now: a full disk met through a memory map is a kill."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)


def open_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name, read when they are looked at.

    Raises:
        UserError: the file is missing or is not whole.
    """
    try:
        memory = np.memmap(path, mode="r")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: capture the distributions again") from None
    except ValueError:  # an empty file
        raise UserError(f"{path} is empty: capture the distributions again") from None
    start = 8 + int.from_bytes(memory[:8].tobytes(), "little")
    try:
        layout = json.loads(memory[8:start].tobytes())
        layout.pop("__metadata__", None)
        return _views(memory, layout, start)
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is cut off or is no safetensors file: capture the distributions again") from None


def _views(memory: np.memmap, layout: Mapping[str, dict], start: int) -> dict[str, np.ndarray]:
    plain = memory.view(np.ndarray)  # slices of a memmap cost ten times as much
    return {
        name: plain[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]]
        .view(TYPES[entry["dtype"]])
        .reshape(entry["shape"])
        for name, entry in layout.items()
    }
