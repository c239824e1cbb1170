"""Every metric of summaries that needs no model: ROUGE with two kinds of tokens, BLEU, chrF, exact match."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from pipestill.errors import UserError
from pipestill.io.normal import clean
from pipestill.metrics.corpus import (
    Contributions,
    bleu_contributions,
    chrf_contributions,
    nltk_bleu_contributions,
)
from pipestill.metrics.exact_match import exact_match
from pipestill.metrics.measures import ENGLISH, Scored
from pipestill.metrics.rouge import rouge, rouge_l
from pipestill.text.sentences import Splitter, signature, split_sentences
from pipestill.text.tokens import library_tokens, unicode_tokens


@dataclass(frozen=True)
class SummaryScores:
    """Scores of one set of answers.

    Attributes:
        answers: metrics that are means over answers: one value each, by metric.
        corpus: metrics of the whole set.
        signatures: how each group of metrics was computed.
    """

    answers: dict[str, list[float]]
    corpus: dict[str, Contributions]
    signatures: dict[str, str]


def one(answer: str, references: Sequence[str]) -> float:
    """ROUGE-L of a summary in any language, in [0, 100]; words are not stemmed, since the stemmer is for English."""
    return rouge_l(clean(answer), [*map(clean, references)])


def score(
    answers: Sequence[str], references: Sequence[Sequence[str]], test_sets: Sequence[str | None], splitter: Splitter
) -> Scored:
    """:func:`score_summaries` of answers whose test sets are languages, or that are English."""
    languages = [test_set or ENGLISH for test_set in test_sets]
    answers, references = [*map(clean, answers)], [[*map(clean, texts)] for texts in references]
    scores = score_summaries(answers, references, languages, splitter=splitter)
    corpus = {name: list(metric.counts) for name, metric in scores.corpus.items()}
    return Scored({**scores.answers, **corpus}, scores.signatures)


def score_summaries(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    languages: Sequence[str],
    *,
    splitter: Splitter = "sentencex",
) -> SummaryScores:
    """Score ``predictions``.

    ``rouge_{1,2,l,lsum}`` have the tokens of the rouge-score library, ``rouge_{1,2,l,lsum}_unicode`` those of any
    script; words are not stemmed. All are F-measures; precision and recall of ``lsum`` have names of their own.
    ``bleu`` and ``chrf`` are sacrebleu's, ``bleu_nltk`` is nltk's with smoothing.

    Args:
        predictions: answers.
        references: acceptable answers of each.
        languages: ISO 639-1 code of each, for its sentences.
        splitter: see :func:`pipestill.text.sentences.split_sentences`.

    Raises:
        UserError: the lists differ in length or are empty, or an answer has no reference.
    """
    if not len(predictions) == len(references) == len(languages):
        raise UserError(
            f"{len(predictions)} predictions cannot be scored against references of {len(references)} rows in "
            f"{len(languages)} languages: give as many of each"
        )
    if not predictions:
        raise UserError("there is no prediction to score: predict again")
    answers: dict[str, list[float]] = {}
    for prediction, texts, language in zip(predictions, references, languages, strict=True):
        sentences = partial(split_sentences, language=language, splitter=splitter)
        for name, value in _score_answer(prediction, texts, sentences).items():
            answers.setdefault(name, []).append(value)
    corpus = _corpus(predictions, references, languages, splitter)
    how = f"rouge-score {version('rouge_score')}|tok:{{}}|sentences:{signature(splitter)}"
    signatures = {
        "rouge": how.format("runs of a-z and 0-9"),
        "rouge_unicode": how.format("runs of letters and digits"),
    }
    return SummaryScores(answers, corpus, signatures | {name: metric.signature for name, metric in corpus.items()})


def _score_answer(
    prediction: str, references: Sequence[str], sentences: Callable[[str], list[str]]
) -> dict[str, float]:
    values = {"exact_match": exact_match(prediction, references)}
    for suffix, tokenize in (("", library_tokens), ("_unicode", unicode_tokens)):
        scores = rouge(prediction, references, tokenize, sentences)
        values |= {f"rouge_{name}{suffix}": score.f for name, score in scores.items()}
        values[f"rouge_lsum{suffix}_precision"] = scores["lsum"].precision
        values[f"rouge_lsum{suffix}_recall"] = scores["lsum"].recall
    return values


def _corpus(
    predictions: Sequence[str], references: Sequence[Sequence[str]], languages: Sequence[str], splitter: Splitter
) -> dict[str, Contributions]:
    answered = [split_sentences(*pair, splitter) for pair in zip(predictions, languages, strict=True)]
    expected = [
        [split_sentences(text, language, splitter) for text in texts]
        for texts, language in zip(references, languages, strict=True)
    ]
    return {
        "bleu": bleu_contributions(predictions, references),
        "bleu_nltk": nltk_bleu_contributions(answered, expected, signature(splitter)),
        "chrf": chrf_contributions(predictions, references),
    }
