"""What a reader of a study must be careful about, in plain words."""

from collections.abc import Sequence
from typing import Any

from pipestill.evaluation.formats import decimals, listing, metric_title, number
from pipestill.reporting.closeness import fidelity_warning
from pipestill.reporting.comparisons import ALPHA, Comparison, find
from pipestill.reporting.study import Experiment, Study
from pipestill.reporting.summaries import signature_warnings

LOW_LABEL_MASS = 0.5


def _single_seed(study: Study) -> str | None:
    single = [experiment.title for experiment in study.trained if len(experiment.runs) == 1]
    if not single:
        return None
    intervals = "its interval says" if len(single) == 1 else "their intervals say"
    return (
        f"{listing(single)} {'has' if len(single) == 1 else 'have'} one seed: {intervals} nothing about how much "
        "training runs differ."
    )


def _few_resamples(study: Study, comparisons: Sequence[Comparison]) -> str | None:
    smallest = 2 / (study.bootstrap.resamples + 1)  # p-value that the bootstrap can give
    if smallest * len(comparisons) < ALPHA:
        return None
    needed = int(2 * len(comparisons) / ALPHA)
    return (
        f"{study.bootstrap.resamples} resamples are too few for {len(comparisons)} pairs: after Holm's correction no "
        f"difference can be significant. Set statistics.resamples above {needed}, better to ten times that."
    )


def _teacher(study: Study, comparisons: Sequence[Comparison]) -> list[str]:
    """Whether there is anything to learn from the teacher, for studies in which a student does."""
    teacher, sft = study.get("teacher"), study.get("sft")
    if teacher is None or not any(experiment.learns_from_teacher for experiment in study.experiments):
        return []
    places, title = decimals(study.primary), metric_title(study.primary)
    its, found = number(teacher.mean(study.primary), places), []
    against = find(comparisons, teacher, sft) if sft else None
    best = study.ranked[0]
    if against and not (against.significant and against.better is teacher):
        found.append(
            f"The teacher ({its}) is not significantly better than the SFT student "
            f"({number(sft.mean(study.primary), places)}) on {title}: distillation from it cannot be expected to help."
        )
    elif find(comparisons, teacher, best).better is best:
        found.append(
            f"The teacher ({its}) is not better than {best.title} ({number(best.mean(study.primary), places)}) on "
            f"{title}: methods that learn from it have little left to gain."
        )
    if sft and sft.closeness and sft.closeness["teacher_nll"]["mean"] >= sft.closeness["student_nll"]["mean"]:
        nll = {name: number(sft.closeness[f"{name}_nll"]["mean"]) for name in ("teacher", "student")}
        found.append(
            f"On validation answers the teacher's NLL ({nll['teacher']}) is not below that of the SFT student "
            f"({nll['student']}): its distributions say less about the answers than the student's own."
        )
    return found


def _of_experiment(experiment: Experiment) -> list[str]:
    evaluation, title = experiment.evaluation, experiment.title
    found = list(experiment.notes)
    for run in evaluation["runs"]:
        if run.get("collapsed"):
            found.append(
                f"{title}, seed {run['seed']}, has collapsed: {run['collapsed']['share']:.0%} of its predictions are "
                f"“{run['collapsed']['label']}”."
            )
        if run.get("unmarked"):
            found.append(
                f"{title}, seed {run['seed']}: {run['unmarked']} answers have no marker that tells them from their "
                "rationales, and are scored whole."
            )
    mass = evaluation["metrics"].get("label_mass")
    if mass and mass["mean"] < LOW_LABEL_MASS and experiment.method != "base":
        found.append(
            f"{title} gives the labels only {mass['mean']:.0%} of the probability of an answer's first token: their "
            "ranking compares continuations that the model would seldom write."
        )
    return found


def warnings(study: Study, comparisons: Sequence[Comparison], fidelity: dict[str, Any] | None = None) -> list[str]:
    """Sentences on what may mislead a reader of the study: notes of the experiments first, each sentence once.

    Args:
        comparisons: all pairs of the study.
        fidelity: of its cache of the teacher's distributions, if it has one.
    """
    found = [sentence for experiment in study.experiments for sentence in _of_experiment(experiment)]
    found += filter(None, [_single_seed(study), _few_resamples(study, comparisons)])
    found += _teacher(study, comparisons) + signature_warnings(study)
    found += filter(None, [fidelity and fidelity_warning(fidelity)])
    return list(dict.fromkeys(found))
