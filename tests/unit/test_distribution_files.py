"""Files of arrays, and rows in them."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pipestill.errors import UserError
from pipestill.teacher.distributions.arrays import create_arrays, open_arrays
from pipestill.teacher.distributions.shard import Array, Shard, join, sizes_of, write_shard

LAYOUT = {
    "ids": Array("entry", "u2"),
    "wide": Array("token", "f2", (3,)),
    "none": Array("token", "u1", (0,)),
    "classes": Array("row", "f4", (2,)),
}


def make_row(draw, tokens, key):
    """A row as a codec encodes it; it has fewer entries than tokens, or more."""
    entries = int(draw.integers(0, 2 * tokens + 1))
    return {
        "keys": np.frombuffer(key, "u1")[None],
        "gold": draw.random(tokens, "f4"),
        "ids": draw.integers(0, 2**16, entries).astype("u2"),
        "wide": draw.random((tokens, 3)).astype("f2"),
        "none": np.zeros((tokens, 0), "u1"),
        "classes": draw.random((1, 2), "f4"),
    }


@pytest.fixture
def rows():
    draw = np.random.default_rng(0)
    # Keys that end or begin with zeros, or differ in the last byte alone, are the ones to confuse.
    keys = [bytes(32), bytes(31) + b"\1", b"\1" + bytes(31), b"\1" * 31 + bytes(1), b"\1" * 32, b"\xff" * 32]
    return [make_row(draw, tokens, key) for tokens, key in zip((3, 1, 0, 5, 2, 4), keys, strict=True)]


def write(path, rows, extra=None):
    write_shard(path, LAYOUT, iter(rows), [sizes_of(row, LAYOUT) for row in rows], extra)
    return Shard(path, LAYOUT)


def test_rows_come_back_by_index_and_by_key(tmp_path, rows):
    shard = write(tmp_path / "s.safetensors", rows, {"sums": np.arange(4)})
    assert len(shard) == len(rows)
    for index, row in enumerate(rows):
        key = row["keys"].tobytes().hex()
        assert shard.keys()[index] == key and shard.find(key) == index
        assert shard.sizes(index) == sizes_of(row, LAYOUT)
        for name, values in row.items():
            assert np.array_equal(shard.row(index)[name], values)
    for missing in (b"\1" * 30 + bytes(2), b"\xff" * 31 + b"\xfe", b"\2" * 32):
        assert shard.find(missing.hex()) is None
    joined = join([shard.row(4), shard.row(0)])
    for name, values in joined.items():
        assert np.array_equal(values, np.concatenate([rows[4][name], rows[0][name]]))
    assert np.array_equal(shard.arrays["sums"], np.arange(4))


def test_a_shard_may_have_no_rows(tmp_path):
    shard = write(tmp_path / "s.safetensors", [])
    assert len(shard) == 0 and shard.keys() == [] and shard.find("0" * 64) is None


def test_the_format_is_safetensors(tmp_path, rows):
    path = tmp_path / "s.safetensors"
    shard = write(path, rows)
    loaded = load_file(path)
    assert loaded.keys() == shard.arrays.keys()
    for name, values in loaded.items():
        assert values.dtype == shard.arrays[name].dtype and np.array_equal(values, shard.arrays[name])
    save_file(loaded, tmp_path / "theirs.safetensors", {"format": "np"})
    for name, values in open_arrays(tmp_path / "theirs.safetensors").items():
        assert np.array_equal(values, loaded[name])


def test_equal_arrays_give_equal_bytes_whatever_their_order(tmp_path):
    shapes = {"a": ("u1", (5,)), "b": ("f4", (2, 2)), "c": ("i8", (1,))}
    for name, order in (("one", shapes), ("two", dict(reversed(shapes.items())))):
        with create_arrays(tmp_path / name, order) as arrays:
            for array in arrays.values():
                array[:] = 7
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_nothing_is_left_of_a_file_that_was_not_finished(tmp_path):
    with pytest.raises(RuntimeError), create_arrays(tmp_path / "f", {"a": ("u1", (5,))}):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("keep", "problem"), [(0, "is empty"), (6, "is cut off"), (300, "is cut off"), (-1, "is cut off")]
)
def test_a_file_that_is_not_whole_is_refused(tmp_path, rows, keep, problem):
    path = tmp_path / "s.safetensors"
    write(path, rows)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=f"s.safetensors {problem}.*: capture the distributions again"):
        open_arrays(path)
    with pytest.raises(UserError, match=r"none\.safetensors does not exist: capture the distributions again"):
        open_arrays(tmp_path / "none.safetensors")
