"""Long sequences, of which memory holds numbers alone, against lists."""

import json
from random import Random

import numpy as np
import pytest

from pipestill.errors import UserError
from pipestill.io import texts
from pipestill.io.records import Record, RecordFile, by_split, iterate_records, write_jsonl
from pipestill.io.sequences import ByKey, Chosen, Kinds, Named, Spool, Texts, first_of_each, shuffled
from pipestill.layouts import raw
from pipestill.layouts.any_rows import read_any
from pipestill.layouts.raw import read_rows

WORDS = ["b", "a", "", "b", "é", "a\U0001f600", "b", "a"]


def records(n):
    return [Record(f"r{i}", ("train", "test")[i % 2], {"text": f"é {i}"}, "x", ["x"]) for i in range(n)]


def test_records_of_a_file_are_those_that_were_written_in_any_order(tmp_path):
    made = records(9)
    write_jsonl(tmp_path / "records.jsonl", made)
    found = RecordFile(tmp_path / "records.jsonl")
    assert (len(found), list(found), found[-1]) == (9, made, made[-1])
    assert list(found[2:7:2]) == made[2:7:2]
    assert list(by_split(found)["test"]) == made[1::2] == list(by_split(made)["test"])
    with pytest.raises(IndexError):
        found[9]


def test_a_broken_record_is_named_by_its_line_when_it_is_read(tmp_path):
    path = tmp_path / "records.jsonl"
    write_jsonl(path, records(2))
    path.write_text(path.read_text() + '{"id": 5}\n')
    found = RecordFile(path)
    for read in (lambda: found[2], lambda: list(iterate_records(path))):
        with pytest.raises(UserError, match=r"records\.jsonl, line 3: a record lacks split, .*make the file again"):
            read()


def test_rows_that_wait_on_disk_are_read_while_others_come():
    waiting = Spool(lambda row: f"{json.dumps(row)}\n".encode(), json.loads)
    for number in range(5):
        waiting.append({"n": number})
        assert waiting[number] == {"n": number}
    assert list(waiting) == [{"n": number} for number in range(5)]


def test_chosen_rows_may_change_as_they_are_read():
    chosen = Chosen("abcdef", np.array([4, 0, 2]), str.upper)
    assert (list(chosen), chosen[1], list(chosen[1:]), len(chosen)) == (["E", "A", "C"], "A", ["A", "C"], 3)


def test_an_order_is_that_of_a_list():
    places, expected = np.array([5, 3, 9, 1, 7]), [5, 3, 9, 1, 7]
    Random("x").shuffle(expected)
    assert shuffled(places, Random("x")).tolist() == expected
    assert places.tolist() == [5, 3, 9, 1, 7]


def test_the_first_of_each_is_found_among_numbers_and_texts():
    expected = [WORDS.index(word) for word in WORDS]
    assert first_of_each(np.array([len(WORDS) - place for place in expected])).tolist() == expected
    assert first_of_each(Texts(WORDS).column).tolist() == expected


def test_rows_are_found_by_key_and_the_last_one_counts():
    rows = [{"id": "a", "n": 1}, {"id": "b", "n": 2}, {"id": "a", "n": 3}]
    found = ByKey(rows, lambda row: row["id"], lambda row: row["n"])
    assert (found["a"], found["b"], "c" in found, found.get("c")) == (3, 2, False, None)


def test_texts_sort_and_compare_as_they_do_elsewhere(monkeypatch):
    monkeypatch.setattr("pipestill.io.sequences.BLOCK", 3)
    found = Texts(WORDS)
    assert (list(found), found[5]) == (WORDS, WORDS[5])
    assert list(found[np.argsort(found.column)]) == sorted(WORDS)
    assert list(found.without(Texts(["a", "c"]))) == ["", "a\U0001f600", "b", "é"]
    assert found == Texts(WORDS) != Texts(WORDS[1:])
    assert len(Texts([])) == 0


def test_kinds_are_counted_in_the_order_in_which_they_come():
    items = ["x", None, "y", "x", "x", None]
    found = Named.of(items)
    assert (list(found), found.counts()) == (items, {"x": 3, None: 2, "y": 1})
    assert found.mapped(lambda kind: kind == "x").tolist() == [each == "x" for each in items]
    assert Named(np.array([1, 1]), ["x", "y"]) == Named(np.array([0, 0]), ["y"]) != Named(np.array([0]), ["y"])
    kinds = Kinds()
    for item in items:
        kinds.append(item)
    assert {kind: own.tolist() for kind, own in kinds.places().items()} == {"x": [0, 3, 4], None: [1, 5], "y": [2]}


LISTS = [
    '[\n{"a": "\\u00e9"},\n {"a": [1, {"b": "]}"}]} , {"a": 2}\n]\n',
    '[{"a": 1}, 1234, "text", {"a": tru}, {"a": 2},\n{"a": NaN}, {"a": "\n"},\n{"a": 3}]',
    '[\n{"a": 1},\n{"a": 2}\n\n',
    '[{"a": "one that is not closed}, {"a": 2}]',
    " \n[]",
    '[{"a": "' + "long " * 50 + '"}, 12345678901234567890, {"b": 1}]',
]


@pytest.mark.parametrize("text", LISTS)
@pytest.mark.parametrize("piece", [1, 2, 7, 64])
def test_a_list_is_the_same_however_many_characters_are_read_at_a_time(tmp_path, monkeypatch, text, piece):
    (tmp_path / "data").write_text(text)

    def found():
        return [(line, row if isinstance(row, dict) else str(row)) for line, row in read_rows(tmp_path / "data")]

    whole = found()
    for module in (texts, raw):
        monkeypatch.setattr(module, "PIECE", piece)
    assert found() == whole


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_files_of_any_encoding_are_read_in_small_pieces(tmp_path, monkeypatch, end, encoding):
    monkeypatch.setattr(texts, "PIECE", 5)
    lines = ["a,b", '"é, 1",2', '"two', 'lines",3', ""]
    (tmp_path / "table").write_bytes(end.join(lines).encode(encoding))
    rows = [
        (line, {name: text.replace(end, "\n") for name, text in row.items()})
        for line, row in read_any(tmp_path / "table", "x")
    ]
    assert rows == [(2, {"a": "é, 1", "b": "2"}), (3, {"a": "two\nlines", "b": "3"})]
    (tmp_path / "lines").write_bytes(end.join(['{"a": "é"}', "", '{"a": 2}']).encode(encoding))
    assert list(read_any(tmp_path / "lines", "x")) == [(1, {"a": "é"}), (3, {"a": 2})]
