"""Stored distributions as a Parquet table, to look at with any tool that reads one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.files import atomic_path
from pipestill.models.kinds import reading_of
from pipestill.models.loading import load_tokenizer
from pipestill.models.rows import read_answers, supervised
from pipestill.teacher.distributions.store import DistributionStore

GROUP_ROWS = 1000  # of a Parquet row group


def export_parquet(manifest: Path, output: Path, data: Sequence[Path] = (), student: Path | None = None) -> None:
    """Write one row for each stored row, sorted by key.

    Columns are ``key``, ``gold_log_probs``, and what the codec stores (its ``columns``), as flat lists over the tokens
    of the answer. Files of rows add their ``id`` and the answer's tokens, ``gold_tokens``.

    Args:
        manifest: of the store.
        output: ``.parquet`` file to write.
        data: files of rows that the store was captured from.
        student: directory of the student's base model, whose tokenizer reads them.

    Raises:
        UserError: the store is damaged, holds nothing, or was captured with another tokenizer.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    store = DistributionStore(manifest)
    names = _names(store, data, student) if student else {}
    keys = store.keys()
    if not keys:
        raise UserError(f"{manifest} holds no rows: there is nothing to export")
    with atomic_path(output) as temporary:
        writer = None
        for start in range(0, len(keys), GROUP_ROWS):
            rows = [_row(store, key) | names.get(key, {}) for key in keys[start : start + GROUP_ROWS]]
            columns = list(dict.fromkeys(name for row in rows for name in row))
            table = pa.table({name: pa.array([row.get(name) for row in rows]) for name in columns})
            writer = writer or pq.ParquetWriter(temporary, table.schema, compression="zstd", write_page_checksum=True)
            writer.write_table(table)
        writer.close()


def _row(store: DistributionStore, key: str) -> dict[str, Any]:
    stored = store.read([key])
    return {"key": key, "gold_log_probs": stored["gold"], **store.codec.columns(stored)}


def _names(store: DistributionStore, data: Sequence[Path], student: Path) -> Mapping[str, dict[str, Any]]:
    """Id and tokens of the answer of each row, by key; equal rows have the id of the last."""
    tokenizer = load_tokenizer(student)
    store.check(tokenizer=tokenizer)
    reads = reading_of(student)
    found = {}
    for path in data:
        for row in read_answers(path, store.encoder(tokenizer, reads)):
            gold = [row["labels"][position] for position in supervised(row["labels"])]
            found[store.key(row)] = {"id": row["id"], "gold_tokens": tokenizer.convert_ids_to_tokens(gold)}
    return found
