"""State that is damaged is named and dropped, and the work goes on; a full disk is one sentence."""

import errno
import json
import os

import pytest

from pipestill.errors import UserError
from pipestill.io.files import atomic_path, fresh_directory, write_json, write_sha256sums
from pipestill.io.seals import seal
from pipestill.job.cost import CostMeter
from pipestill.job.disk import disk_problem
from pipestill.job.row_log import RowLog
from pipestill.job.script import run, writes
from pipestill.job.state import is_whole, read_state
from pipestill.training.state import TrainingState

GARBAGE = {
    "torn": b'{"wall_s": 1',
    "empty": b"",
    "zeros": b"\0" * 40,
    "no text": b"\xff\xfe\x00",
    "a list": b"[1, 2]",
    "deep": b"[" * 99999,
    "a wrong type": b'{"wall_s": "long", "tokens": []}',
    "no number": b'{"wall_s": NaN}',
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_a_damaged_cost_is_named_and_dropped(tmp_path, capsys, garbage):
    ledger = tmp_path / "cost.json"
    ledger.write_bytes(garbage)
    meter = CostMeter(ledger)
    assert f"{ledger} is damaged: it is dropped" in capsys.readouterr().err
    assert meter.total()["wall_s"] < 1e6
    meter.save()
    assert read_state(ledger)["tokens"] == 0


@pytest.mark.parametrize("garbage", [b'{"seed": 1', b"[]", b""])
def test_a_training_whose_fingerprint_is_damaged_starts_over(tmp_path, capsys, garbage):
    state = TrainingState(tmp_path / "state", {"seed": 1})
    with state.checkpoint(3) as directory:
        (directory / "weights").write_text("w")
    assert TrainingState(tmp_path / "state", {"seed": 1}).last_checkpoint()
    (tmp_path / "state/fingerprint.json").write_bytes(garbage)
    again = TrainingState(tmp_path / "state", {"seed": 1})
    assert "fingerprint.json is damaged" in capsys.readouterr().err
    assert again.last_checkpoint() is None
    assert json.loads((tmp_path / "state/fingerprint.json").read_text()) == {"seed": 1}


def test_a_file_where_the_state_should_be_is_replaced(tmp_path):
    (tmp_path / "state").write_text("no directory")
    assert TrainingState(tmp_path / "state", {"seed": 1}).last_checkpoint() is None


def test_a_state_without_a_seal_or_not_as_it_was_made_is_made_again(tmp_path, capsys):
    part = tmp_path / "part"
    assert not is_whole(part)
    for damage in (lambda: None, lambda: part.write_text("other")):
        part.write_text("rows")
        seal(part)
        assert is_whole(part)
        damage()
        if part.read_text() == "rows":
            (tmp_path / ".part.sha256").unlink()
        assert not is_whole(part) and not part.exists()
    assert capsys.readouterr().err.count("part is damaged: it is dropped") == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace(b"2.5", b"2.4"),
        lambda line: line[:10] + b"\n",
        lambda line: b"\n",
        lambda line: b'{"key": "b", "n": 2.5}\n',
        lambda line: b"[" * 99999 + b"\n",
        lambda line: b'{"key": 3, "n": 1}\n',
    ],
)
def test_a_damaged_line_amid_a_log_costs_its_row_alone(tmp_path, capsys, damage):
    path = tmp_path / "rows.jsonl"
    RowLog(path).append([("a", {"n": 1}), ("b", {"n": 2.5}), ("c", {"n": 3})])
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + damage(second) + third)
    log = RowLog(path, fields=["n"])
    assert list(log.rows) == ["a", "c"]
    assert capsys.readouterr().err == f"{path}: passing over damaged lines (2)\n"
    log.append([("b", {"n": 2.5})])
    assert RowLog(path).rows == {key: {"key": key, "n": n} for key, n in (("a", 1), ("c", 3), ("b", 2.5))}


def test_paid_rows_of_an_earlier_version_are_taken_and_others_are_computed_again(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"key": "a", "text": "paid"}\n')
    assert list(RowLog(path, paid=True, fields=["text"]).rows) == ["a"]
    assert RowLog(path, paid=True, fields=["cost"]).damaged == [1]
    assert RowLog(path).rows == {}


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_rows_that_do_not_fit_on_the_disk_leave_the_log_as_it_was(tmp_path, monkeypatch):
    log = RowLog(tmp_path / "rows.jsonl", paid=True)
    log.append([("a", {"n": 1})])
    before = log.path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"rows\.jsonl"):
        log.append([("b", {"n": 2})])
    assert log.path.read_bytes() == before and list(log.rows) == ["a"]


def test_the_cost_of_what_a_full_disk_ended_is_kept_in_the_room_that_it_has(tmp_path, monkeypatch):
    ledger = tmp_path / "cost.json"
    with pytest.raises(OSError, match="No space left"), CostMeter(ledger) as cost:
        cost.tokens = 7
        monkeypatch.setattr("pipestill.io.files.os.replace", full)
        full()
    assert read_state(ledger)["tokens"] == 7


def test_nothing_half_written_is_left(tmp_path):
    with pytest.raises(OSError, match=str(tmp_path / "file")), atomic_path(tmp_path / "file") as temporary:
        temporary.write_text("half")
        full()
    with pytest.raises(OSError), fresh_directory(tmp_path / "directory") as temporary:
        (temporary / "half").write_text("half")
        full()
    assert list(tmp_path.iterdir()) == []


class ForeignError(Exception):
    """As a library in Rust raises."""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "", "model/weights"), "model/weights cannot be written: No space left on device ("),
        (OSError(errno.EDQUOT, ""), "results/out cannot be written: Disk quota exceeded ("),
        (OSError(errno.EACCES, "", "results/x"), "results/x cannot be read or written: Permission denied; mend that"),
        (OSError(errno.EIO, ""), "results/out cannot be read or written: Input/output error"),
        (RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"), "results/out cannot be wr"),
        (ForeignError("I/O error: No space left on device (os error 28)"), "results/out cannot be written: No space"),
    ],
)
def test_a_fault_of_the_disk_is_one_sentence_with_the_file(tmp_path, capsys, error, sentence):
    def main():
        writes("results/out")
        try:
            raise error
        except Exception as cause:
            if isinstance(error, ForeignError):
                raise
            raise RuntimeError("a library wraps it") from cause

    with pytest.raises(SystemExit) as end:
        run(main)
    said = capsys.readouterr().err
    assert end.value.code == 1
    assert said.startswith(f"error: {sentence}") and said.count("\n") == 1


def test_other_errors_stay_what_they_are(monkeypatch):
    assert disk_problem(ValueError("no")) is None
    assert disk_problem(ConnectionResetError(errno.ECONNRESET, "reset")) is None
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)


def test_a_finished_training_without_its_cost_is_given_back(tmp_path):
    state = TrainingState(tmp_path / "state", {})
    state.finished.mkdir()
    (state.finished / "weights").write_text("w")
    write_sha256sums(state.finished)
    write_json(state.directory / "cost.json", [1])
    assert state.is_finished()
    with CostMeter(state.directory / "cost.json") as cost:
        state.publish(tmp_path / "model")
    assert read_state(cost.ledger)["tokens"] == 0
    assert (tmp_path / "model/weights").read_text() == "w"


def test_a_mistake_of_the_user_keeps_its_own_words(capsys):
    def main():
        raise UserError("no such task")

    with pytest.raises(SystemExit):
        run(main)
    assert capsys.readouterr().err == "error: no such task\n"
