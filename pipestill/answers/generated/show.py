"""What the report says of generated answers of every kind."""

from pipestill.evaluation.formats import percent, plural
from pipestill.reporting.study import Experiment, Study


def warnings(study: Study) -> list[str]:
    """Answers without a marker, and those that repeat themselves."""
    unmarked = [
        f"{each.title}, seed {run.seed}: {n} answers have no marker that tells them from their rationales, and are "
        "scored whole."
        for each in study.experiments
        for run in each.evaluation.runs
        if (n := run.details["unmarked"])
    ]
    return [*unmarked, *filter(None, map(_repeating, study.experiments))]


def _repeating(experiment: Experiment) -> str | None:
    """How many of all answers of an experiment repeat themselves to their end."""
    runs = experiment.evaluation.runs
    found = sum(run.details["repeating"] or 0 for run in runs)
    if not found:
        return None
    asked = sum(run.n_test * max(1, len(run.details["by_sampling_seed"])) for run in runs)
    return (
        f"{experiment.title}: {plural(found, 'answer')} of {asked} ({percent(found / asked)}) repeat the same words to "
        "their end, as a model does that finds no end before the limit of its length."
    )
