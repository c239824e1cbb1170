import json

import pytest

from pipestill.errors import UserError
from pipestill.io import files
from pipestill.io.records import normalise, read_jsonl, write_jsonl


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), files.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_failed_directory_leaves_the_old_one(tmp_path):
    path = tmp_path / "model"
    with files.fresh_directory(path) as temporary:
        (temporary / "a").write_text("1")
    with pytest.raises(RuntimeError), files.fresh_directory(path) as temporary:
        (temporary / "a").write_text("2")
        raise RuntimeError
    assert (path / "a").read_text() == "1"


def test_what_becomes_a_result_has_the_rights_of_any_new_file(tmp_path, monkeypatch):
    def rights(path):
        return f"{path.stat().st_mode & 0o777:o}"

    monkeypatch.setattr(files, "UMASK", 0o027)
    other = tmp_path / "of_another"
    other.touch(0o600)
    with files.fresh_directory(tmp_path / "model") as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "weights").touch(0o600)
        (temporary / "linked").hardlink_to(other)
        (temporary / "pointer").symlink_to(other)
    with files.atomic_path(tmp_path / "weights") as temporary:
        temporary.touch(0o600)
    assert rights(tmp_path / "model" / "sub" / "weights") == rights(tmp_path / "weights") == "640"
    assert rights(other) == "600", "a second name of a file is not ours alone"


def test_checksums_find_changed_missing_and_foreign_files(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "weights").write_bytes(b"abc")
    (tmp_path / "sub" / "b").write_bytes(b"")
    files.write_sha256sums(tmp_path)
    assert (tmp_path / "SHA256SUMS").read_text().splitlines() == [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  sub/b",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  weights",
    ]
    assert files.verify_sha256sums(tmp_path) == files.sha256(tmp_path / "SHA256SUMS")
    (tmp_path / "weights").write_bytes(b"abd")
    with pytest.raises(UserError, match="weights does not match"):
        files.verify_sha256sums(tmp_path)
    (tmp_path / "weights").write_bytes(b"abc")
    (tmp_path / "extra").write_bytes(b"")
    with pytest.raises(UserError, match="extra is not listed"):
        files.verify_sha256sums(tmp_path)
    (tmp_path / "extra").unlink()
    (tmp_path / "sub" / "b").unlink()
    with pytest.raises(UserError, match="b is missing"):
        files.verify_sha256sums(tmp_path)


def test_json_lines_round_trip_and_name_a_broken_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"text": "naïve \u2028 line"}, {"n": 1.5}]
    write_jsonl(path, rows)
    assert read_jsonl(path) == rows
    path.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(UserError, match=r"rows.jsonl, line 2: not valid JSON"):
        read_jsonl(path)
    path.write_text('{"a": 1}\n[1]\n')
    with pytest.raises(UserError, match="line 2: a JSON object is expected, not list"):
        read_jsonl(path)
    with pytest.raises(UserError, match="does not exist"):
        read_jsonl(tmp_path / "none")


def test_normalised_texts_ignore_case_space_and_width():
    assert normalise("  Ａge:\t23 \n") == normalise("age: 23")
