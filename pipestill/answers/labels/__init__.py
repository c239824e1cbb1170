"""Answers that are one of some labels: ranked by a causal or masked model, and calibrated."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from pipestill.answers.base import AnswerOptions, Answers, Definition, Reply, Values
from pipestill.errors import UserError, shortened
from pipestill.io.normal import clean, normalise
from pipestill.io.records import Json, Prediction, Record
from pipestill.settings.models import ModelKind
from pipestill.settings.section import CleanText, Distinct

MOST_LABELS = 1000
MEASURED = ("none", "multi_null", "pmi")  # calibrations that need nothing but the model


class LabelOptions(AnswerOptions):
    """Settings of label ranking."""

    reruns: ClassVar = {"*": "predict"}

    unasked: ClassVar = frozenset({"calibration"})
    calibration: Literal["auto", "none", "multi_null", "domain_conditional", "pmi", "batch"] = "auto"
    """Prior that is subtracted from label scores (contextual calibration); `auto`: the best on validation rows."""
    null_inputs: Annotated[list[CleanText], Field(min_length=1, max_length=1000), Distinct] | None = None
    """Content-free inputs for `multi_null` calibration; the task's own when absent."""


class LabelReply(Reply):
    """A label, and how likely each one is."""

    scores: dict[str, float]
    """Raw scores less the prior, by label."""
    raw_scores: dict[str, float]
    """Mean log-probability per token (natural log) of each label."""
    prior: dict[str, float]
    """What calibration subtracts."""
    probabilities: dict[str, float]
    """Softmax of the scores."""
    top2_margin: float
    """Highest score less the second."""


class LabelDefinition(Definition):
    """Labels of a task that the configuration declares."""

    labels: Annotated[list[CleanText], Field(min_length=2, max_length=MOST_LABELS), Distinct] | None = None
    """The labels; each answer is one of them. Those of a local file when absent."""
    null_inputs: Annotated[list[CleanText], Field(min_length=1, max_length=1000), Distinct] = ["", "N/A"]
    """Content-free inputs for `multi_null` calibration."""

    def completed(self, values: Callable[[], Iterator[Values]] | None) -> Self:
        """With the labels that a file has."""
        if self.labels is not None:
            return self
        if values is None:
            raise UserError("there is no local file to take the labels from; list them in `labels`")
        return self.model_copy(update={"labels": list(count_labels(each.target for each in values()))})

    @classmethod
    def drafted(cls, values: Sequence[object]) -> Json:
        """The labels."""
        return {"labels": list(count_labels(values))}


def spelt(value: object) -> object:
    """A label that is a number, or true or false, as text; anything else as it is."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


def count_labels(targets: Iterable[object]) -> dict[str, int]:
    """The labels of a file and how often each is there, in order of their letters.

    One that is spelt in several ways, as to case and spaces, is spelt as most rows have it.

    Raises:
        UserError: there is one label or none, or they seem to be none, as they hardly ever repeat.
    """
    spellings: dict[str, Counter[str]] = {}
    for target in map(spelt, targets):
        if isinstance(target, str) and target.strip():
            spellings.setdefault(normalise(target), Counter())[clean(target).strip()] += 1
    found = {each.most_common(1)[0][0]: each.total() for _, each in sorted(spellings.items())}
    rows = sum(found.values())
    if len(found) < 2:
        one = f"every row has the label {shortened(next(iter(found)))!r}" if found else "no row has a label"
        raise UserError(f"{one}: name the column of the labels, or list them in `answers.labels`")
    if len(found) > min(MOST_LABELS, rows / 2):
        raise UserError(
            f"{len(found)} different labels in {rows} rows seem to be none: name another column, take answers of the "
            "kind `text`, or list them in `answers.labels`"
        )
    return found


@dataclass
class Ranked(Prediction):
    """A prediction by ranked labels, whose scores are mean log-probabilities per token (natural log).

    Attributes:
        raw_scores: of each label.
        prior: that is subtracted.
        scores: raw scores less the prior.
        probabilities: their softmax.
        top2_margin: highest score less the second.
        label_mass: probability that an answer's first token begins a label.
        greedy: labels that begin with the likeliest first token of the whole vocabulary; none where no label does.
    """

    raw_scores: dict[str, float]
    prior: dict[str, float]
    scores: dict[str, float]
    probabilities: dict[str, float]
    top2_margin: float
    label_mass: float
    greedy: list[str]


@dataclass(frozen=True)
class Labels(Answers):
    """One of ``labels``.

    Attributes:
        labels: the classes.
        null_inputs: content-free texts that stand for each input, whose label scores measure the model's prior.
    """

    labels: tuple[str, ...]
    null_inputs: tuple[str, ...]
    max_new_tokens: int = 8
    metrics: tuple[str, ...] = (
        *("macro_f1", "accuracy", "vocabulary_accuracy", "nll", "brier", "ece", "label_mass"),
        "subset_accuracy",
    )

    Options: ClassVar = LabelOptions
    Reply: ClassVar = LabelReply
    Definition: ClassVar = LabelDefinition
    model_kinds: ClassVar[frozenset[ModelKind]] = frozenset({"causal", "masked"})

    def __post_init__(self) -> None:
        """Labels are spelt as every text is, so that they are found in data."""
        for name in ("labels", "null_inputs"):
            object.__setattr__(self, name, tuple(map(clean, getattr(self, name))))

    @classmethod
    def counted(cls, values: Sequence[object]) -> dict[str, int]:
        """Rows of each label."""
        return count_labels(values)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels

    @property
    def strata(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels

    def stratum(self, record: Record) -> str:
        """Its label."""
        return record.target

    def read(self, value: object) -> str:
        """One of the labels, whatever its case and spaces."""
        known = {normalise(label): label for label in self.labels}
        found = known.get(normalise(super().read(spelt(value))))
        if found is None:
            raise ValueError(f"the label {shortened(str(value))!r} is none of {shortened(', '.join(self.labels))}")
        return found

    def check_words(self, verbalizers: Mapping[str, str]) -> None:
        """Labels must be known, and each must have a word of its own."""
        for label in verbalizers:
            if label not in self.labels:
                raise ValueError(f"`{label}` is none of the labels {', '.join(self.labels)}; correct it")
        words = [verbalizers.get(label, label) for label in self.labels]
        if len(set(words)) < len(words):
            raise ValueError(f"two labels have the same word ({', '.join(words)}); choose another one")

    def check_request(self, options: LabelOptions, run: Path | None) -> None:
        """Outside of an experiment no prior was fitted."""
        if run is None and options.calibration not in ("auto", *MEASURED):
            raise UserError(
                f"calibration `{options.calibration}` was fitted in no experiment of this model; there are: "
                f"{', '.join(MEASURED)}"
            )

    def rejected(self, record: Record, said: Json | None, rng: Random) -> str:
        """A wrong label: drawn at random, or the one that the teacher finds most likely."""
        wrong = [label for label in self.labels if label != record.target]
        return rng.choice(wrong) if said is None else max(wrong, key=said["label_scores"].__getitem__)
