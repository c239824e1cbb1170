"""The records that predictions of a tree answer."""

from pipestill.io.records import read_jsonl, write_jsonl


def write_asked(path, root, experiments="*"):
    """Write records for all predictions of ``experiments`` in ``root``: only what an evaluation looks at."""
    files = sorted(root.glob(f"{experiments}/predictions/seed_*/predictions.jsonl"))
    rows = {row["id"]: {"id": row["id"], "split": row["split"]} for file in files for row in read_jsonl(file)}
    write_jsonl(path, rows.values())
