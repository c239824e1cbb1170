"""CATALOGUE: every metric that is measured, with its title, its range, and its way from single answers to all."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf

import numpy as np

from pipestill.metrics.code import SIZES, pass_at
from pipestill.metrics.corpus import bleu, chrf
from pipestill.metrics.field_sums import field_f1, share


@dataclass(frozen=True)
class Entry:
    """A metric of the catalogue.

    Attributes:
        key: in ``eval.json``.
        title: in tables and figures.
        highest: largest value that it can take.
        lowest: smallest value that it can take.
        lower_is_better: whether a low value is a good one.
        corpus: sums of what answers contribute ``[..., k]`` to the metric ``[...]``; none for a mean over examples, or
            a metric that its owner computes.
        of_draws: what answers to the same examples that were drawn contribute, ``[draws, examples]``, to the value of
            each example ``[examples]``; none for their mean. A single draw has no value of its own.
        per_test_set: whether it is given for each test set too.
        merit: whether one value is better than another.
    """

    key: str
    title: str
    highest: float = 1.0
    lowest: float = 0.0
    lower_is_better: bool = False
    corpus: Callable[[np.ndarray], np.ndarray] | None = None
    of_draws: Callable[[np.ndarray], np.ndarray] | None = None
    per_test_set: bool = True
    merit: bool = True

    @property
    def decimals(self) -> int:
        """Number of decimals in print: two if it runs to 100, else three."""
        return 2 if self.highest == 100 else 3


def _ratio(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def _perplexity(sums: np.ndarray) -> np.ndarray:
    return np.exp(_ratio(sums))


def _with_parts(key: str, title: str, form: str = "{}", lowest: float = 0.0) -> list[Entry]:
    """An F-measure with its precision and recall."""
    parts = (("", ""), ("_precision", " precision"), ("_recall", " recall"))
    return [
        Entry(f"{key}{part}", form.format(f"{title}{word}"), 100.0, lowest, per_test_set=not part)
        for part, word in parts
    ]


def _rouge(suffix: str, form: str) -> list[Entry]:
    """ROUGE with one kind of tokens."""
    single = [Entry(f"rouge_{n.lower()}{suffix}", form.format(f"ROUGE-{n}"), 100.0) for n in ("1", "2", "L")]
    return [*single, *_with_parts(f"rouge_lsum{suffix}", "ROUGE-Lsum", form)]


_ENTRIES = (
    Entry("accuracy", "accuracy"),
    Entry("vocabulary_accuracy", "vocabulary accuracy"),
    Entry("subset_accuracy", "subset accuracy"),
    Entry("macro_f1", "macro F1"),
    Entry("nll", "NLL", highest=inf, lower_is_better=True),
    Entry("brier", "Brier", highest=2.0, lower_is_better=True),
    Entry("ece", "ECE", lower_is_better=True),
    Entry("label_mass", "label mass", per_test_set=False, merit=False),
    *_rouge("", "{}"),
    *_rouge("_unicode", "{} (Unicode)"),
    Entry("bleu", "BLEU", 100.0, corpus=lambda sums: bleu(sums, "halving")),
    Entry("bleu_nltk", "BLEU (nltk, smoothed)", 100.0, corpus=lambda sums: bleu(sums, "floor")),
    Entry("chrf", "chrF", 100.0, corpus=chrf),
    *_with_parts("bertscore", "BERTScore", lowest=-inf),  # rescaled, it is negative for worse than unrelated texts
    Entry("exact_match", "exact match", per_test_set=False),
    Entry("pass_at_1", "pass@1"),
    *(Entry(f"pass_at_{k}", f"pass@{k}", of_draws=partial(pass_at, k), per_test_set=False) for k in SIZES[1:]),
    Entry("compile_rate", "compile rate", per_test_set=False),
    Entry("field_f1", "field F1", corpus=field_f1),  # of right, found and expected fields
    Entry("field_precision", "field precision", corpus=share, per_test_set=False),
    Entry("field_recall", "field recall", corpus=share, per_test_set=False),
    Entry("schema_valid", "valid by the schema", per_test_set=False),
    Entry("perplexity", "perplexity", highest=inf, lower_is_better=True, corpus=_perplexity),  # of nats and tokens
    Entry("token_accuracy", "token accuracy", corpus=_ratio),  # of right tokens and tokens
)
CATALOGUE: dict[str, Entry] = {entry.key: entry for entry in _ENTRIES}


def entry_of(name: str) -> Entry:
    """The entry of a metric, or of one on a single test set (``rouge_l/vicuna``)."""
    return CATALOGUE[name.partition("/")[0]]


def metric_title(name: str, languages: bool = False) -> str:
    """Title of a metric in tables and figures: ``macro F1``, or ``ROUGE-L on vicuna`` for ``rouge_l/vicuna``.

    Args:
        name: key of the metric, with its test set if it is of one.
        languages: whether test sets are languages: then it is ``ROUGE-L (es)`` for ``rouge_l/es``.
    """
    title, test_set = entry_of(name).title, name.partition("/")[2].replace("/", ", ")
    if languages and test_set:
        return f"{title[:-1]}, {test_set})" if title.endswith(")") else f"{title} ({test_set})"
    return f"{title} on {test_set}" if test_set else title
