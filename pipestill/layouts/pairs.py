"""Pairs of texts and summaries in tables: CSV with a header and any usual separator, JSON Lines, or a JSON list."""

from pathlib import Path

from pipestill.io.files import text_file
from pipestill.layouts.raw import read_rows
from pipestill.layouts.tables import TableRows, table_rows

SEPARATED = (".csv", ".tsv")
SUFFIXES = (".jsonl", ".json", *SEPARATED)


def read_pairs(path: Path) -> TableRows:
    """Rows of ``path`` with their line numbers; a row that cannot be read is given as a :class:`BadRow`.

    Raises:
        UserError: the file is missing, not UTF-8 text, or a CSV file without a header, with one name in it twice, or
            with an unclosed quote.
    """
    return table_rows(path, text_file(path)) if Path(path).suffix.lower() in SEPARATED else read_rows(path)
