"""Report on studies of generated text: test sets, signatures, and the sources of the spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from pipestill.answers.generated import show as generated
from pipestill.answers.text import TextOptions
from pipestill.io.records import Json
from pipestill.methods import BASE
from pipestill.metrics.catalogue import CATALOGUE
from pipestill.reporting.blocks import Shown, differences, note, text
from pipestill.reporting.figures.metrics import dots
from pipestill.reporting.panels import Figure, Panel
from pipestill.reporting.study import Experiment, Study

SIGNED = {  # what signatures are of
    "rouge": "ROUGE",
    "rouge_unicode": "ROUGE (Unicode)",
    **{name: CATALOGUE[name].title for name in ("bleu", "chrf", "bertscore")},
}


@dataclass(frozen=True)
class Spread:
    """Standard deviations of the primary metric of a trained student.

    Attributes:
        both: between runs as they are; none of single runs.
        training: what training contributes; none with too few runs or draws to tell.
        sampling: what sampling answers contributes.
        options: how answers are found.
    """

    both: float | None
    training: float | None
    sampling: float | None
    options: TextOptions


def spread(study: Study) -> Spread | None:
    """The spread of all trained students together; none where nothing was trained."""
    if not study.trained:
        return None
    summaries = [experiment.metric(study.primary) for experiment in study.trained]
    options = TextOptions.model_validate(study.trained[0].evaluation.answers)
    pooled = (
        _root_mean_square([getattr(each, key) for each in summaries]) for key in ("sd", "training_sd", "sampling_sd")
    )
    return Spread(*pooled, options)


def signatures(study: Study) -> dict[str, list[str]]:
    """Signatures by the names of metrics in tables; more than one where experiments differ."""
    signed = [name for name in SIGNED if name in study.first.signatures]
    found = {SIGNED[name]: [_text(each.evaluation.signatures[name]) for each in study.experiments] for name in signed}
    return {title: list(dict.fromkeys(texts)) for title, texts in found.items()}


def cut_texts(study: Study) -> list[tuple[Experiment, Mapping[str, Any]]]:
    """Experiments with texts that BERTScore could not see, or not whole: how many were ``empty`` and ``truncated``."""
    computed = [(each, each.evaluation.signatures.get("bertscore")) for each in study.experiments]
    return [(each, facts) for each, facts in computed if _is_computed(facts) and (facts["empty"] or facts["truncated"])]


def warnings(study: Study) -> list[str]:
    """Those of all generated answers, and metrics that were not computed in one way for all experiments."""
    differ = [
        f"{title} was not computed in the same way for all methods ({' and '.join(texts)}): evaluate them again."
        for title, texts in signatures(study).items()
        if len(texts) > 1
    ]
    return [*generated.warnings(study), *differ]


def example(row: Json, scores: Json) -> Shown:
    """The text with its differences to the closest reference, and the rationale that was written before it."""
    rationale = [note(f"Rationale: {row['rationale']}")] if row.get("rationale") else []
    reference, *others = row["references"]
    more = [note(f"or: {each}") for each in others]
    return Shown([*rationale, differences(row["prediction"], row["references"])], [text(reference), *more])


def _test_sets(study: Study) -> str | None:
    """The primary metric and what it is on each test set; SFT is drawn through.

    The untrained student is left out, which lies so far from the others that they would be drawn as one.
    """
    compared = [experiment for experiment in study.experiments if experiment.method != BASE]
    return dots(study, compared, [study.primary, *study.test_set_metrics], line=study.sft) if compared else None


def _view(study: Study) -> Json:
    return {
        "signatures": signatures(study),
        "extracts": [each for each in study.experiments if each.evaluation.sentences],
        "cut_texts": cut_texts(study),
        "spread": spread(study),
    }


def _is_computed(facts: object) -> bool:
    return isinstance(facts, Mapping)


def _text(signature: str | Mapping[str, Any]) -> str:
    """A signature as it is, or that of BERTScore, which is a mapping, in the same way of writing."""
    if not _is_computed(signature):
        return signature
    return "|".join(f"{key}:{value}" for key, value in signature["signature"].items() if value is not None)


def _root_mean_square(values: Sequence[float | None]) -> float | None:
    known = [value**2 for value in values if value is not None]
    return sqrt(sum(known) / len(known)) if known else None


PANELS = (Panel("results", "text.html.j2", _view),)
FIGURES = {
    "test_sets": Figure(
        _test_sets,
        "Test sets: mean over the seeds with its 95 % interval; small dots are single runs, the dashed line is SFT. "
        "The untrained student is only in the table.",
    ),
}
MEASURED = "text_measured.html.j2"
SCORE = None  # what single answers are scored by: the metric that decides
OVERALL = "mean of the sets"  # what a metric of several test sets is of
