"""What a study's numbers say, in plain words, and what to be careful about."""

from collections.abc import Sequence

from pipestill.evaluation.formats import (
    LOWER_IS_BETTER,
    bracket,
    listing,
    metric_title,
    number,
    plural,
    seconds,
)  # fmt: skip
from pipestill.methods import method_of
from pipestill.reporting.collect import Experiment, Study
from pipestill.reporting.comparisons import Comparison, find

LOW_LABEL_MASS = 0.5


def _train_seconds(study: Study) -> tuple[str, dict[str, float]]:
    """Seconds of training per seed by method: of processor time if that is known of all, else of wall time."""
    trained = {experiment.method: experiment.evaluation["cost"]["train"] for experiment in study.experiments}
    trained = {method: train for method, train in trained.items() if train}
    for words, key in (("of processor time ", "cpu_s"), ("", "wall_s")):
        if all(train[key] is not None for train in trained.values()):
            return words, {method: train[key] for method, train in trained.items()}
    return "", {}


def _significance(study: Study, comparisons: Sequence[Comparison]) -> str:
    best, *others = study.ranked
    beaten = [other.title for other in others if find(comparisons, best, other).significant]
    tied = [other for other in others if not find(comparisons, best, other).significant]
    sentences = []
    if beaten:
        sentences.append(f"It is significantly better than {listing(beaten)}.")
    if tied:
        leads = [
            f"{other.title} ({number(abs(best.mean(study.primary) - other.mean(study.primary)))})" for other in tied
        ]
        sentences.append(
            f"Its lead over {listing(leads)} is not significant: {plural(best.evaluation['n_test'], 'test example')} "
            f"and {plural(len(best.runs), 'seed')} do not tell them apart."
        )
    return " ".join(sentences)


def _gap(study: Study, comparisons: Sequence[Comparison]) -> str | None:
    """How much of the way from the untrained student to the teacher the best student has gone."""
    base, teacher, best = study.get("base"), study.get("teacher"), study.ranked[0]
    if teacher is None:
        return None
    metric = teacher.metric(study.primary)
    sentence = f"The teacher reaches {number(metric['mean'])} {bracket(metric['ci95'])}"
    comparison = find(comparisons, teacher, base) if base and best is not base else None
    if comparison and comparison.significant and comparison.better is teacher:
        gained = best.mean(study.primary) - base.mean(study.primary)
        share = gained / (metric["mean"] - base.mean(study.primary))
        return f"{sentence}; {best.title} closes {share:.0%} of the gap between the untrained student and it."
    return f"{sentence}."


def _costs(study: Study) -> str | None:
    best = study.ranked[0]
    words, costs = _train_seconds(study)
    if best.method not in costs:
        return None
    sentence = f"Training {best.title} took {seconds(costs[best.method])} {words}per seed"
    relative = [
        f"{other.title} {costs[other.method] / costs[best.method]:.1f} times as long"
        for other in study.ranked[1:]
        if other.method in costs
    ]
    sentence += f"; {listing(relative)}." if relative else "."
    taught = [other.title for other in study.ranked if method_of(other.method).teacher != "unused"]
    if taught and "teacher" in costs:
        verb = "needs" if len(taught) == 1 else "need"
        sentence += f" {listing(taught)} also {verb} the teacher, whose training took {seconds(costs['teacher'])}."
    return sentence


def conclusion(study: Study, comparisons: Sequence[Comparison]) -> str:
    """One paragraph: which method is best, whether significantly so, and what it costs beside the others."""
    best, *others = study.ranked
    metric = best.metric(study.primary)
    title = metric_title(study.primary)
    where = f"{number(metric['mean'])} {bracket(metric['ci95'])} over {plural(len(best.runs), 'seed')}"
    if not others:
        opening = f"{best.title} reaches a {title} of {where}; with one method there is nothing to compare."
    elif best.method == "base":
        opening = f"No trained method is ahead of the untrained student, which has a {title} of {where}."
    else:
        opening = f"{best.title} is best on {title}: {where}."
    significance = _significance(study, comparisons) if others else None
    return " ".join(filter(None, [opening, significance, _gap(study, comparisons), _costs(study)]))


def _single_seed_warning(study: Study) -> str | None:
    students = [experiment for experiment in study.experiments if not experiment.is_reference]
    single = [experiment.title for experiment in students if len(experiment.runs) == 1]
    if not single:
        return None
    intervals = "its interval says" if len(single) == 1 else "their intervals say"
    return (
        f"{listing(single)} {'has' if len(single) == 1 else 'have'} one seed: {intervals} nothing about how much "
        "training runs differ."
    )


def _teacher_warning(study: Study) -> str | None:
    teacher, best = study.get("teacher"), study.ranked[0]
    if teacher is None:
        return None
    ahead = teacher.mean(study.primary) - best.mean(study.primary)
    if (ahead > 0) != (study.primary in LOWER_IS_BETTER) and ahead != 0:
        return None
    return (
        f"The teacher ({number(teacher.mean(study.primary))}) is not better than {best.title} "
        f"({number(best.mean(study.primary))}) on {metric_title(study.primary)}: "
        "methods that learn from it have little to gain here."
    )


def _experiment_warnings(experiment: Experiment) -> list[str]:
    evaluation, title = experiment.evaluation, experiment.title
    found = list(experiment.notes)
    for run in evaluation["runs"]:
        if run["collapsed"]:
            found.append(
                f"{title}, seed {run['seed']}, has collapsed: {run['collapsed']['share']:.0%} of its predictions are "
                f"“{run['collapsed']['label']}”."
            )
    mass = evaluation["metrics"].get("label_mass")
    if mass and mass["mean"] < LOW_LABEL_MASS and experiment.method != "base":
        found.append(
            f"{title} gives the labels only {mass['mean']:.0%} of the probability of an answer's first token: their "
            "ranking compares continuations that the model would seldom write."
        )
    return found


def warnings(study: Study) -> list[str]:
    """Sentences on what may mislead a reader of the study: notes of the experiments first, each sentence once."""
    found = [sentence for experiment in study.experiments for sentence in _experiment_warnings(experiment)]
    found += filter(None, [_single_seed_warning(study), _teacher_warning(study)])
    return list(dict.fromkeys(found))
