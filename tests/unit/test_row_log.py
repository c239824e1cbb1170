from pipestill.inference.row_log import RowLog


def test_rows_survive_and_a_torn_line_is_dropped(tmp_path):
    path = tmp_path / "state" / "rows.jsonl"
    log = RowLog(path, {"model": "a"})
    assert not path.exists()
    log.append([("x", {"n": 1}), ("y", {"n": 2})])
    with open(path, "a") as file:
        file.write('{"key": "z", "n"')
    again = RowLog(path, {"model": "a"})
    assert {key: row["n"] for key, row in again.rows.items()} == {"x": 1, "y": 2}
    again.append([("z", {"n": 3})])
    assert {key: row["n"] for key, row in RowLog(path, {"model": "a"}).rows.items()} == {"x": 1, "y": 2, "z": 3}


def test_rows_of_other_work_are_not_gone_on_with(tmp_path):
    path = tmp_path / "rows.jsonl"
    RowLog(path, {"model": "a"}).append([("x", {"n": 1})])
    assert RowLog(path, {"model": "b"}).rows == {}
    assert not path.exists()


def test_a_torn_header_starts_over(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"fingerp')
    assert RowLog(path, {"model": "a"}).rows == {}
