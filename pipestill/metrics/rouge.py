"""ROUGE-1, -2, -L and -Lsum: precision, recall and F-measure, equal to the rouge-score library's on the same tokens."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipestill.errors import UserError
from pipestill.metrics.subsequence import common_positions, common_subsequence
from pipestill.text.tokens import Tokens, library_tokens


@dataclass(frozen=True)
class Rouge:
    """One score, each part 0..100."""

    precision: float
    recall: float
    f: float


NONE = Rouge(0.0, 0.0, 0.0)


def rouge_l(prediction: str, references: Sequence[str], stemming: bool = False) -> float:
    """ROUGE-L F-measure (0..100), the highest over the references.

    Equal to the library's ``RougeScorer(["rougeL"], use_stemmer=stemming)``; an empty answer scores 0.

    Raises:
        UserError: there is no reference.
    """
    tokens = library_tokens(prediction, stemming)
    return max(sequence_overlap(tokens, library_tokens(text, stemming)).f for text in given(references))


def rouge(
    prediction: str,
    references: Sequence[str],
    tokenize: Callable[[str], Tokens],
    sentences: Callable[[str], list[str]],
) -> dict[str, Rouge]:
    """ROUGE ``1``, ``2``, ``l`` and ``lsum`` of one answer; each is that of the reference with the highest F-measure.

    Args:
        prediction: the answer.
        references: acceptable answers.
        tokenize: text to tokens.
        sentences: text to sentences, which only ``lsum`` uses.

    Raises:
        UserError: there is no reference.
    """
    answer, answer_sentences = tokenize(prediction), [tokenize(part) for part in sentences(prediction)]
    scores: dict[str, list[Rouge]] = {"1": [], "2": [], "l": [], "lsum": []}
    for text in given(references):
        tokens = tokenize(text)
        scores["1"].append(ngram_overlap(answer, tokens, 1))
        scores["2"].append(ngram_overlap(answer, tokens, 2))
        scores["l"].append(sequence_overlap(answer, tokens))
        scores["lsum"].append(sentence_overlap(answer_sentences, [tokenize(part) for part in sentences(text)]))
    return {name: max(found, key=lambda score: score.f) for name, found in scores.items()}


def ngram_overlap(answer: Tokens, reference: Tokens, n: int) -> Rouge:
    """ROUGE-N (Lin, 2004): common n-grams, each as often as both texts have it."""
    counts, expected = (Counter(zip(*(text[i:] for i in range(n)), strict=False)) for text in (answer, reference))
    return _score((counts & expected).total(), counts.total(), expected.total())


def sequence_overlap(answer: Tokens, reference: Tokens) -> Rouge:
    """ROUGE-L: the longest common subsequence of two texts."""
    return _score(common_subsequence(answer, reference), len(answer), len(reference))


def sentence_overlap(answer: Sequence[Tokens], reference: Sequence[Tokens]) -> Rouge:
    """ROUGE-L of summaries (Lin, 2004, section 3.2): for each reference sentence the union of its longest common
    subsequences with every sentence of the answer; no token counts more often than either text has it."""
    left = Counter(token for sentence in answer for token in sentence)
    total, hits = left.total(), 0
    for sentence in reference:
        union = 0
        for other in answer:
            union |= common_positions(sentence, other)
        for index, token in enumerate(sentence):
            if union >> index & 1 and left[token]:
                left[token] -= 1
                hits += 1
    return _score(hits, total, sum(map(len, reference)))


def given(references: Sequence[str]) -> Sequence[str]:
    """The references, of which there must be one.

    Raises:
        UserError: there is none.
    """
    if not references:
        raise UserError("an answer without a reference cannot be scored: give `references` at least one text")
    return references


def _score(hits: int, answered: int, expected: int) -> Rouge:
    if not hits:
        return NONE
    return Rouge(100 * hits / answered, 100 * hits / expected, 200 * hits / (answered + expected))
