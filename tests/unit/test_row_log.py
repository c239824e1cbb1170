import errno
import io
import os
import resource
from threading import Lock

import pytest

from pipestill.annotation.annotate import annotate
from pipestill.annotation.budget import Budget
from pipestill.annotation.journal import open_journal
from pipestill.errors import UserError
from pipestill.io.records import read_jsonl
from pipestill.job import row_log
from pipestill.job.row_log import RowLog, state_of
from support.annotation import serve, settings, write_records


def test_rows_survive_and_a_torn_line_is_dropped(tmp_path):
    path = tmp_path / "rows.jsonl"
    log = RowLog(path)
    assert not path.exists()
    log.append([("x", {"n": 1}), ("y", {"n": 2})])
    with open(path, "a") as file:
        file.write('{"key": "z", "n"')
    again = RowLog(path)
    assert {key: row["n"] for key, row in again.rows.items()} == {"x": 1, "y": 2}
    again.append([("z", {"n": 3})])
    assert {key: row["n"] for key, row in RowLog(path).rows.items()} == {"x": 1, "y": 2, "z": 3}


def test_the_state_of_other_work_is_removed(tmp_path):
    first = state_of(tmp_path / "state", {"model": "a"})
    (first / "rows.jsonl").write_text("{}\n")
    assert state_of(tmp_path / "state", {"model": "a"}) == first
    assert (first / "rows.jsonl").exists()
    second = state_of(tmp_path / "state", {"model": "b"})
    assert second != first
    assert [path for path in (tmp_path / "state").iterdir() if path.is_dir()] == [second]


@pytest.fixture
def full(monkeypatch):
    """A disk that takes so many more bytes of files that are opened from here on; call it with their number."""

    def fill(left):
        room, one_writer = [left], Lock()

        class Full:
            def __init__(self, path, *_, **__):
                self.file = io.FileIO(path, "ab")

            def write(self, data):
                with one_writer:
                    if not room[0]:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    taken = self.file.write(data[: room[0]])
                    room[0] -= taken
                    return taken

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.file.close()

            def __getattr__(self, name):
                return getattr(self.file, name)

        monkeypatch.setattr(row_log, "open", Full, raising=False)

    yield fill


@pytest.mark.parametrize("paid", [False, True])
def test_rows_that_find_no_room_leave_the_file_and_the_memory_as_they_were(tmp_path, full, monkeypatch, paid):
    path = tmp_path / "rows.jsonl"
    log = RowLog(path, paid)
    log.append([("x", {"n": 1})])
    before = path.read_bytes()
    full(30)
    with pytest.raises(OSError, match=r"No space left on device: .*rows\.jsonl"):
        log.append([("y", {"n": 2}), ("z", {"n": "a long row"})])
    assert path.read_bytes() == before
    assert [*log.rows] == ["x"]
    monkeypatch.undo()
    log.append([("y", {"n": 2})])
    assert [*RowLog(path, paid).rows] == ["x", "y"]


def test_a_limit_on_the_size_of_files_breaks_no_row(tmp_path):
    log, (soft, hard) = RowLog(tmp_path / "rows.jsonl", paid=True), resource.getrlimit(resource.RLIMIT_FSIZE)
    log.append([("x", {"n": 1})])
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            log.append([("y", {"n": "z" * 100})])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [row["key"] for row in read_jsonl(tmp_path / "rows.jsonl")] == ["x"]


def test_what_cannot_be_written_changes_nothing(tmp_path):
    log = RowLog(tmp_path / "rows.jsonl")
    log.append([("x", {"n": 1})])
    for value in (float("nan"), "\ud800"):
        with pytest.raises(ValueError, match=r"JSON|surrogates"):
            log.append([("y", {"n": 2}), ("z", {"n": value})])
    assert [*log.rows] == [*RowLog(log.path).rows] == ["x"]


def test_what_was_paid_for_is_on_the_disk_before_the_work_goes_on(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(row_log.os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    RowLog(tmp_path / "free.jsonl").append([("x", {"n": 1})])
    assert not synced
    log = RowLog(tmp_path / "paid.jsonl", paid=True)
    log.append([("x", {"n": 1})])
    size = log.path.stat().st_size
    assert synced[0] == size
    assert len(synced) == 2, "and the directory, for the file is new"
    log.append([("y", {"n": 1})])
    assert synced[2:] == [2 * size]


@pytest.mark.parametrize("line", ["{}", "[]", "5", '{"key": []}', '{"key"', "\x00\x00", "[" * 10_000, '"\udcff"'])
def test_a_damaged_row_is_named_and_passed_over(tmp_path, capsys, line):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"key": "x", "n": 1}}\n{line}\n{{"key": "y", "n": 2}}\n', errors="surrogateescape")
    log = RowLog(path, paid=True)
    assert ([*log.rows], log.damaged) == (["x", "y"], [2])
    assert "rows.jsonl: passing over damaged lines (2)" in capsys.readouterr().err


def test_a_row_of_a_journal_has_its_fields(tmp_path):
    path = tmp_path / "calls.jsonl"
    path.write_text('{"key": "1", "request": "a", "reserved": 0}\n{"key": "2", "request": "b"}\n')
    journal = open_journal(path, ("request", "reserved"))
    assert ([*journal.rows], journal.damaged) == (["1"], [2])


def test_a_call_whose_end_finds_no_room_counts_at_its_most(tmp_path, full):
    budget = Budget(tmp_path / "calls.jsonl", max_cost=1.0)
    call = budget.open("a", 0.4)
    full(10)
    with pytest.raises(OSError, match="No space"):
        budget.close(call, "ok", 0.1)
    assert (budget.spent, budget.reserved, budget.under_way) == (0.4, 0.0, 0)
    assert Budget(tmp_path / "calls.jsonl").spent == 0.4


def test_a_full_disk_ends_an_annotation_and_breaks_nothing(tmp_path, full, monkeypatch):
    records = write_records(tmp_path / "records.jsonl", [str(number) for number in range(9)])

    def run(server):
        annotate(settings(server.url, tmp_path), "task", records, None, tmp_path / "out", tmp_path / "usage")

    with serve() as server:
        full(2_500)
        with pytest.raises(UserError, match=r"of 9 records are annotated and kept; .*No space left on device: .*jsonl"):
            run(server)
        monkeypatch.undo()
        sent, kept = len(server.bodies), read_jsonl(tmp_path / "ledger/task/ledger.jsonl")
        assert 0 < len(kept) < 9
        read_jsonl(tmp_path / "ledger/task/calls.jsonl")
        run(server)
    assert len(server.bodies) == sent + 9 - len(kept)
    assert len(read_jsonl(tmp_path / "out")) == 9
