"""Accuracy of a teacher with its context on the rows that students learn from, as its stored distributions tell it."""

from pathlib import Path

from pipestill.io.records import Json, iterate_jsonl
from pipestill.losses import IGNORED
from pipestill.models.kinds import reading_of
from pipestill.models.loading import load_tokenizer
from pipestill.models.rows import read_answers, supervised
from pipestill.objectives.context import with_gold
from pipestill.teacher.distributions.store import DistributionStore


def context_accuracy(manifest: Path, data: Path, student: Path) -> Json:
    """Compare what the teacher finds likeliest with the gold answers, where they are known.

    Args:
        manifest: of the stored distributions.
        data: training file of the students.
        student: directory of their base model, whose tokens the rows have.

    Returns:
        ``rows``; ``first``: share of rows whose first token, or whose label, is the gold one; ``tokens``: share of all
        tokens about which something is stored.

    Raises:
        UserError: a row is not stored.
    """
    store = DistributionStore(manifest)
    rows = read_answers(data, store.encoder(load_tokenizer(student), reading_of(student)))
    known = {row["id"] for row in with_gold(iterate_jsonl(data))}
    rows = [row for row in rows if row["id"] in known]
    first = right = compared = 0
    for row in rows:
        best = store.top_ids([store.key(row)])
        gold = best.new_tensor([row["labels"][position] for position in supervised(row["labels"])])
        hits, known = best == gold, best != IGNORED
        first, right, compared = first + int(hits[0]), right + int(hits[known].sum()), compared + int(known.sum())
    return {"rows": len(rows), "first": first / len(rows), "tokens": right / compared}
