from pipestill.job.row_log import RowLog, state_of


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
