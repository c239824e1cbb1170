"""BLEU and chrF: contributions of each answer, and the score of any sum of contributions.

Both are scores of a whole set of answers. Kept as sums, they can be taken over languages, and over resamples in one
matrix product. sacrebleu counts the contributions of an answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

import numpy as np

ORDERS = 4  # longest n-gram of BLEU
FLOOR = 0.1  # matches that an order without any is counted as: method 1 of Chen and Cherry, 2014


@dataclass(frozen=True)
class Contributions:
    """Contributions of each answer to one metric.

    Attributes:
        counts: ``[answers, k]``.
        signature: versions and settings of the count.
    """

    counts: np.ndarray
    signature: str


def bleu_contributions(
    predictions: Sequence[str], references: Sequence[Sequence[str]], tokenize: str = "13a"
) -> Contributions:
    """BLEU (Papineni et al., 2002) as sacrebleu computes it, with one of its tokenizers."""
    from sacrebleu.metrics import BLEU

    return Contributions(*_count(BLEU(tokenize=tokenize), predictions, references))


def chrf_contributions(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Contributions:
    """chrF2 (Popović, 2015) as sacrebleu computes it: character n-grams up to 6."""
    from sacrebleu.metrics import CHRF

    return Contributions(*_count(CHRF(), predictions, references))


def nltk_bleu_contributions(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]], splitter: str
) -> Contributions:
    """BLEU as nltk's ``corpus_bleu`` computes it with ``SmoothingFunction().method1`` and ``word_tokenize``.

    Args:
        predictions: the sentences of each answer, which ``word_tokenize`` would ask punkt for.
        references: the sentences of each of its references.
        splitter: signature of what split them.
    """
    from nltk.tokenize.destructive import NLTKWordTokenizer
    from sacrebleu.metrics import BLEU

    tokenize = NLTKWordTokenizer().tokenize

    def words(sentences: Sequence[str]) -> str:
        return " ".join(token for sentence in sentences for token in tokenize(sentence))

    metric = BLEU(tokenize="none", force=True)
    counts, _ = _count(metric, [*map(words, predictions)], [[*map(words, texts)] for texts in references])
    counts[:, 2 + ORDERS :] = np.maximum(counts[:, 2 + ORDERS :], 1)  # nltk counts one where an answer is too short
    signature = f"corpus_bleu of nltk {version('nltk')}|smooth:method1|tok:word_tokenize|sentences:{splitter}"
    return Contributions(counts, signature)


def _count(metric: Any, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[np.ndarray, str]:
    """Contributions ``[answers, k]`` by sacrebleu, and its signature; answers may have more references than others."""
    most = max(map(len, references))
    streams = [[texts[i] if i < len(texts) else None for texts in references] for i in range(most)]
    counts = np.array(metric._extract_corpus_statistics(predictions, streams), dtype=np.float64)
    return counts, str(metric.get_signature())


def bleu(sums: np.ndarray, smoothing: Literal["halving", "floor"]) -> np.ndarray:
    """BLEU (0..100) of sums ``[..., 2 + 2 * ORDERS]``: tokens of answers and references, matches, n-grams of answers.

    An order without matches counts as half, a quarter, ... of a match (the smoothing of mteval), or as ``FLOOR``; with
    no match at all, or no n-gram of some order, the score is 0.
    """
    answered, expected, matches, total = np.split(sums, [1, 2, 2 + ORDERS], axis=-1)
    missed = matches == 0
    instead = 0.5 ** missed.cumsum(axis=-1) if smoothing == "halving" else FLOOR
    with np.errstate(divide="ignore", invalid="ignore"):
        log_precision = np.log(np.where(missed, instead, matches) / total).mean(axis=-1)
        log_penalty = np.minimum(0.0, 1 - expected / answered)[..., 0]
        scores = 100 * np.exp(log_precision + log_penalty)
    return np.where(missed.all(axis=-1) | (total == 0).any(axis=-1), 0.0, scores)


def chrf(sums: np.ndarray, beta: float = 2.0) -> np.ndarray:
    """chrF (0..100) of sums ``[..., 3 * orders]``: for each order n-grams of answers, of references, and matches.

    Precision and recall are means over the orders that both sides have n-grams of.
    """
    answered, expected, matches = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 3), -1, 0)
    valid = (answered > 0) & (expected > 0)
    orders = np.maximum(valid.sum(axis=-1), 1)
    precision, recall = (
        np.divide(matches, of, out=np.zeros_like(matches), where=valid).sum(axis=-1) / orders
        for of in (answered, expected)
    )
    weighted = beta**2 * precision + recall
    product = 100 * (1 + beta**2) * precision * recall
    return np.divide(product, weighted, out=np.zeros_like(weighted), where=weighted > 0)
