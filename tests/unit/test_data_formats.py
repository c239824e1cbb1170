"""Files of rows in every usual format and encoding: recognised, or refused by name."""

import json

import pyarrow
import pytest
from pyarrow import parquet

from pipestill.errors import UserError
from pipestill.layouts.any_rows import read_any
from pipestill.layouts.example import BadRow

ROWS = [
    {"body": 'Grüße, "Ann"; a | b', "team": "bug"},
    {"body": "It is\ntwo lines", "team": "praise"},
    {"body": "naïve", "team": "bug"},
]


def read(path):
    """Rows with their lines; a bad one is its reason."""
    return [(line, str(row) if isinstance(row, BadRow) else row) for line, row in read_any(path, path.name)]


def table(mark, end="\n"):
    quoted = [[f'"{text.replace(chr(34), chr(34) * 2)}"' for text in row.values()] for row in ROWS]
    return end.join([mark.join(("body", "team")), *(mark.join(row) for row in quoted), ""])


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"], ids=str
)
def test_a_table_is_read_with_any_separator_in_any_usual_encoding(tmp_path, mark, encoding):
    assert [row for _, row in read(written(tmp_path, "x", table(mark).encode(encoding)))] == ROWS


def test_the_lines_of_a_table_are_those_that_rows_begin_in(tmp_path):
    assert [line for line, _ in read(written(tmp_path, "x.csv", table(",", "\r\n").encode()))] == [2, 3, 5]


def test_json_and_parquet_are_known_by_their_content(tmp_path):
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    assert [row for _, row in read(written(tmp_path, "a.txt", lines.encode("utf-16")))] == ROWS
    assert [row for _, row in read(written(tmp_path, "b", json.dumps(ROWS, indent=1).encode()))] == ROWS
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "c.data")
    assert read(tmp_path / "c.data") == list(enumerate(ROWS, 1))


def test_messages_lie_in_parquet_too(tmp_path):
    row = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "x.parquet")
    assert read(tmp_path / "x.parquet") == [(1, row)]


def test_tabs_divide_texts_with_quotation_marks_of_their_own(tmp_path):
    text = 'body\tteam\n"Hello" she said\tbug\n"open\tpraise\nplain\tbug\n'
    found = read(written(tmp_path, "x.tsv", text.encode()))
    assert found == [
        (2, {"body": '"Hello" she said', "team": "bug"}),
        (3, {"body": '"open', "team": "praise"}),
        (4, {"body": "plain", "team": "bug"}),
    ]


def test_a_ragged_row_is_named_by_its_line(tmp_path):
    found = read(written(tmp_path, "x.csv", b"a,b\n1,2\n3\n4,5,6\n"))
    assert found == [
        (2, {"a": "1", "b": "2"}),
        (3, "fewer fields than the header has"),
        (4, "more fields than the header has"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x is empty"),
        (b" \n\n", "x is empty"),
        (b"PK\x03\x04rest", "x is a zip archive or a spreadsheet (.xlsx, .ods): save its rows as CSV"),
        (b"\x1f\x8brest", "x is compressed by gzip"),
        (b"%PDF-1.7", "x is a PDF document"),
        ("body,team\nпривет всем,bug\n".encode("cp1251"), "x, line 2: this is neither UTF-8 nor Western European"),
        ("body,team\n你好世界,bug\n".encode("gbk"), "x, line 2: this is neither UTF-8 nor Western European"),
        ("body,team\nGrüße,a\n".encode() + b"na\xefve,b\n", "x, line 3: a byte that is not UTF-8, which other letters"),
        (b"\xff\xfea\x00b", "x, line 1: a byte that is not UTF-16"),
        (b"body,team,body\n1,2,3\n", "x: 2 columns are called `body`"),
        (b'body,team\n"open,bug\n', "x, line 2: not valid CSV"),
        (b'{\n "rows": []\n}\n', "x: one JSON object over several lines is no list of rows"),
        (b"PAR1 and then nothing", "x: not a Parquet file that can be read"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path, content, message):
    with pytest.raises(UserError) as refused:
        read(written(tmp_path, "x", content))
    assert message in str(refused.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"^x does not exist; put the data there"):
        read(tmp_path / "x")
