"""Damage to results is found by whoever reads them, and told with the way out."""

import argparse
import shutil
import subprocess

import pytest

from pipestill.errors import UserError
from pipestill.io.files import write_sha256sums
from pipestill.io.seals import again, faults, seal, seal_of, verify
from pipestill.job.script import reads, run, writes


def append(path, text="more\n"):
    with open(path, "a") as file:
        file.write(text)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def to_directory(path):
    path.unlink()
    path.mkdir()


def swap(path):
    other = path.with_name("z.jsonl")
    kept = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(kept)


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "emptied": lambda path: path.write_bytes(b""),
    "a row is missing": lambda path: path.write_text("".join(path.read_text().splitlines(True)[1:])),
    "a flipped bit": flip,
    "two files swapped": swap,
    "deleted": lambda path: path.unlink(),
    "a directory in its place": to_directory,
    "appended to": append,
    "made by hand": lambda path: path.write_text('{"id": 1}\n'),
}


@pytest.fixture(params=["file", "directory"])
def made(request, tmp_path):
    """A sealed output, and one of its files."""
    path = tmp_path / "results" / ("rows.jsonl" if request.param == "file" else "predictions")
    file = path if request.param == "file" else path / "seed_1" / "rows.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("".join(f'{{"id": {number}}}\n' for number in range(30)))
    file.with_name("z.jsonl").write_text('{"id": 99}\n')
    seal(path)
    return path, file


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_every_damage_is_refused_with_the_command_that_heals(made, damage):
    path, file = made
    verify(path)
    damage(file)
    with pytest.raises(UserError) as error:
        verify(path)
    assert str(file) in str(error.value)
    assert str(error.value).endswith(f"(or, to keep a change that is meant: rm {seal_of(path)})")
    assert f"rm -r {path}, then the same snakemake command" in str(error.value)


def test_a_file_too_many_in_a_directory_is_named_but_not_what_snakemake_puts_there(tmp_path):
    path = tmp_path / "raw"
    path.mkdir()
    (path / "a").write_text("a")
    seal(path)
    (path / ".snakemake_timestamp").touch()
    verify(path)
    (path / "b").write_text("b")
    assert list(faults(path)) == [f"{path / 'b'} was not there when the others were made"]


@pytest.mark.parametrize("garbage", [b"", b"garbage\n", b"\xff\xfe\0"])
def test_a_damaged_seal_is_no_seal_that_fits(made, garbage):
    path, _ = made
    seal_of(path).write_bytes(garbage)
    with pytest.raises(UserError, match="to make it again: rm -r"):
        verify(path)


def test_names_of_any_kind_are_listed(tmp_path):
    path = tmp_path / "raw"
    path.mkdir()
    for name in ("two\nlines", "back\\slash", "líne\u2028", " space "):
        (path / name).write_text(name)
    seal(path)
    assert verify(path)


def test_a_directory_with_its_own_list_is_checked_but_for_weights_which_whoever_loads_them_checks(tmp_path):
    path = tmp_path / "seed_1" / "model"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_text("weights")
    (path / "history.jsonl").write_text("{}\n")
    write_sha256sums(path)
    seal(path)
    assert len(seal_of(path).read_text().splitlines()) == 1
    flip(path / "model.safetensors")
    verify(path)
    assert len(list(faults(path))) == 1
    (path / "model.safetensors").unlink()
    with pytest.raises(UserError, match="is missing"):
        verify(path)
    (path / "model.safetensors").write_text("weights")
    append(path / "history.jsonl")
    with pytest.raises(UserError, match=r"history\.jsonl is not as it was made"):
        verify(path / "history.jsonl")  # a file of it is checked by the same seal


def test_models_of_two_seeds_are_not_taken_for_each_other(tmp_path):
    for seed in (1, 2):
        path = tmp_path / f"seed_{seed}" / "model"
        path.mkdir(parents=True)
        (path / "model.safetensors").write_text(f"weights {seed}")
        write_sha256sums(path)
        seal(path)
    (tmp_path / "seed_1/model").rename(tmp_path / "kept")
    (tmp_path / "seed_2/model").rename(tmp_path / "seed_1/model")
    (tmp_path / "kept").rename(tmp_path / "seed_2/model")
    for seed in (1, 2):
        with pytest.raises(UserError, match="SHA256SUMS is not as it was made"):
            verify(tmp_path / f"seed_{seed}" / "model")


def test_seals_hold_wherever_results_are_moved_to_and_sha256sum_reads_them(made, tmp_path):
    path, _ = made
    moved = tmp_path / "elsewhere" / "deeper" / "results"
    shutil.copytree(path.parent, moved)
    verify(moved / path.name)
    command = ["sha256sum", "--check", "--quiet", seal_of(path).name]
    assert subprocess.run(command, cwd=moved).returncode == 0


def test_what_has_no_seal_is_taken_and_said(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    reads(str(path))  # it is not there: whoever reads it says so
    path.write_text("{}\n")
    reads(str(path))
    assert capsys.readouterr().out == f"{path} has no seal, as of an earlier version or made by hand: taken as it is\n"


def test_names_with_spaces_stay_whole_in_the_command(tmp_path):
    assert again(tmp_path / "a b").startswith(f"to make it again: rm -r '{tmp_path / 'a b'}', then")


def script(arguments, work):
    """A script that reads one file and writes another."""

    def main():
        parser = argparse.ArgumentParser()
        parser.add_argument("--input", type=reads)
        parser.add_argument("--output", type=writes)
        args = parser.parse_args(arguments)
        work(args.input, args.output)

    run(main)


def copy(source, target):
    target.write_bytes(source.read_bytes())


def test_a_script_seals_what_it_writes_and_refuses_damage_before_it_works(tmp_path, capsys):
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    first.write_text("rows")
    script(["--input", str(first), "--output", str(second)], copy)
    script(["--input", str(second), "--output", str(third)], copy)
    verify(third)
    append(second)
    with pytest.raises(SystemExit) as end:
        script(["--input", str(second), "--output", str(third)], lambda *paths: pytest.fail("it worked"))
    assert end.value.code == 1
    assert capsys.readouterr().err.startswith(f"error: {second} is not as it was made")


def test_a_script_that_fails_seals_nothing(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("rows")

    def work(source, target):
        target.write_text("half")
        raise UserError("no")

    with pytest.raises(SystemExit):
        script(["--input", str(first), "--output", str(second)], work)
    assert not seal_of(second).exists()
