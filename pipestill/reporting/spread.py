"""How much of a metric's spread comes from training, and how much from sampling answers."""

from collections.abc import Sequence
from math import sqrt
from typing import Any

from pipestill.evaluation.formats import decimals, metric_title, number
from pipestill.reporting.study import Study

WORDS = {"training_sd": "training again moves it by", "sampling_sd": "sampling its answers again moves it by"}
TOGETHER = "another run, trained and sampled again, moves it by"


def spread_rows(study: Study) -> list[dict[str, Any]]:
    """Standard deviations of a study of texts by method, on its primary metric; ``None`` where seeds do not tell."""
    if not study.of_text:
        return []
    metrics = [(experiment, experiment.metric(study.primary)) for experiment in study.experiments]
    return [
        {"experiment": experiment, **{key: metric[key] for key in ("sd", *WORDS)}} for experiment, metric in metrics
    ]


def spread_sentence(study: Study) -> str | None:
    """What training and sampling again change in a trained student, and why they are not told apart if they are not."""
    if not study.of_text or not study.trained:
        return None
    rows = [row for row in spread_rows(study) if row["experiment"] in study.trained]
    pooled = {key: _root_mean_square([row[key] for row in rows]) for key in ("sd", *WORDS)}
    words = {"sd": TOGETHER} if all(pooled[key] is None for key in WORDS) else WORDS
    parts = [
        f"{phrase} {number(pooled[key], decimals(study.primary))}"
        for key, phrase in words.items()
        if pooled[key] is not None
    ]
    moved = f"{metric_title(study.primary)} of a trained student: {' and '.join(parts)} (standard deviation)."
    return " ".join([*([moved] if parts else []), *_why_not(study)])


def _root_mean_square(values: Sequence[float | None]) -> float | None:
    known = [value**2 for value in values if value is not None]
    return sqrt(sum(known) / len(known)) if known else None


def _why_not(study: Study) -> list[str]:
    generation = next(each.evaluation["generation"] for each in study.trained)
    if not generation["sampling"]:
        return ["Answers are the likeliest ones and were not drawn, so sampling has no part in it."]
    if len(generation["sampling_seeds"]) == 1:
        return ["With one sampling seed the spread of training and that of sampling are not told apart."]
    return []
