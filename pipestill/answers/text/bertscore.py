"""BERTScore of an experiment's answers: a job of its own, since it needs torch and a model."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipestill.answers.generated.answered import read_answers
from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.io.records import Json
from pipestill.io.runs import find_runs
from pipestill.metrics.bertscore import Baseline, Encoder, published_baseline, read_baseline
from pipestill.metrics.measures import ENGLISH, Scored

METRICS = ("bertscore_precision", "bertscore_recall", "bertscore")


def bertscore_record(
    predictions: Path, test_sets: Sequence[str], encoder: Encoder, baseline: str | None = None
) -> Json:
    """Scores of every answer of every run, and how they were computed.

    Args:
        predictions: directory with ``seed_<n>/predictions.jsonl``.
        test_sets: names that are known, languages; none where answers are of no test set.
        encoder: what texts are compared by.
        baseline: what a rescaled score calls 0: ``corpus``, pairs of unrelated references of the same test set, or the
            name of a model whose baselines the bert-score library ships; none leaves scores as they are.
    """
    answers = {seed: read_answers(run / "predictions.jsonl", test_sets) for seed, run in find_runs(predictions).items()}
    baselines = _baselines(next(iter(answers.values())), encoder, baseline)
    scores: dict[str, list[Json]] = {}
    empty = truncated = 0
    for seed, rows in answers.items():
        found = encoder.score(
            [row["prediction"] for row in rows],
            [row["references"] for row in rows],
            [baselines[row["test_set"] or ENGLISH] for row in rows] if baselines else None,
        )
        empty, truncated = empty + found.empty, truncated + found.truncated
        columns = dict(zip(METRICS, (found.precision, found.recall, found.f), strict=True))
        scores[str(seed)] = [
            {"id": row["id"], "sampling_seed": row["sampling_seed"], **{name: columns[name][i] for name in METRICS}}
            for i, row in enumerate(rows)
        ]
    signature = {**encoder.signature, "rescaled": baseline, "baselines": baselines or None}
    return {"signature": signature, "empty": empty, "truncated": truncated, "scores": scores}


def _baselines(rows: Iterable[Json], encoder: Encoder, baseline: str | None) -> dict[str, Baseline]:
    references: dict[str, list[str]] = {}
    for row in rows:
        references.setdefault(row["test_set"] or ENGLISH, []).extend(row["references"])
    if baseline is None:
        return {}
    if baseline == "corpus":
        return {language: encoder.random_baseline(sorted(set(texts))) for language, texts in references.items()}
    return {language: read_baseline(published_baseline(baseline, language), encoder.layer) for language in references}


def read_bertscores(path: Path, rows: Sequence[Json], seed: int) -> Scored:
    """The columns that a file of :func:`bertscore_record` adds to a run's answers ``rows``.

    Raises:
        UserError: the file lacks an answer: it is of other predictions.
    """
    content = read_json(path)
    known = {(row["id"], row["sampling_seed"]): row for row in content["scores"].get(str(seed), ())}
    keys = [(row["id"], row["sampling_seed"]) for row in rows]
    if missing := [key for key in keys if key not in known]:
        raise UserError(f"{path} has no score of {missing[0][0]!r} (seed {seed}): compute BERTScore again")
    facts = {key: content[key] for key in ("signature", "empty", "truncated")}
    return Scored({name: [known[key][name] for key in keys] for name in METRICS}, {"bertscore": facts})
