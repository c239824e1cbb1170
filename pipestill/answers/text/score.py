"""Runs that generate text, scored against references."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipestill.answers.generated.score import GeneratedRun, in_parts, measured, runs_of
from pipestill.answers.text.bertscore import read_bertscores
from pipestill.errors import UserError
from pipestill.io.records import Json, iterate_jsonl
from pipestill.metrics.measures import Scored
from pipestill.settings.evaluation import Experiment
from pipestill.tasks.base import Task

__all__ = ["measured", "runs"]
NOT_COMPUTED = "not computed: the study names no encoder (bertscore.encoder)"


def runs(task: Task, experiment: Experiment, predictions: Path, columns: Mapping[str, Path]) -> dict[int, GeneratedRun]:
    """The runs of an experiment by seed, from ``predictions/seed_<n>/``.

    Args:
        task: says by which measure answers are scored.
        experiment: names its test sets, and what finds sentences.
        predictions: directory of the predictions of all runs; ``likelihood.jsonl`` of a run is used where it is there.
        columns: files of what other jobs measured of each answer, by metric: ``bertscore``, where it was computed.

    Raises:
        UserError: there is no run, a file is missing or broken, or the runs were tested on different examples.
    """
    measure = task.answers.measure

    def of_texts(rows: Sequence[Json]) -> Scored:
        answers, references, sets = ([row[key] for row in rows] for key in ("prediction", "references", "test_set"))
        return measure.functions.score(answers, references, sets, experiment.splitter)

    def score(seed: int, directory: Path, rows: Sequence[Json]) -> Scored:
        absent = {"bertscore": NOT_COMPUTED} if "bertscore" in measure.metrics else {}
        scored = Scored({}, absent).with_more(in_parts(rows, of_texts))
        if (likelihoods := directory / "likelihood.jsonl").is_file():
            scored = scored.with_more(Scored(_of_likelihoods(likelihoods, rows)))
        if "bertscore" in columns:
            scored = scored.with_more(read_bertscores(columns["bertscore"], rows, seed))
        return scored

    return runs_of(predictions, experiment.test_sets, score)


def _of_likelihoods(path: Path, rows: Sequence[Json]) -> dict[str, list[tuple[float, int]]]:
    """Contributions of each row to ``perplexity`` and ``token_accuracy``.

    Raises:
        UserError: the file lacks a row: it is of other predictions.
    """
    found = {row["id"]: row for row in iterate_jsonl(path)}
    if missing := [row["id"] for row in rows if row["id"] not in found]:
        raise UserError(f"{path} has no row for {missing[0]!r}: predict again")
    own = [found[row["id"]] for row in rows]
    return {
        "perplexity": [(row["nll"], row["tokens"]) for row in own],
        "token_accuracy": [(row["correct"], row["tokens"]) for row in own],
    }
