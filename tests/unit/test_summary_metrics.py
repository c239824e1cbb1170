"""ROUGE, BLEU and chrF of summaries against the libraries' own scorers."""

import random
import subprocess
import sys

import numpy as np
import pytest
import sacrebleu
from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.translate.bleu_score import SmoothingFunction, corpus_bleu
from rouge_score.rouge_scorer import RougeScorer, lcs_ind

from pipestill.errors import UserError
from pipestill.metrics.catalogue import CATALOGUE
from pipestill.metrics.corpus import bleu_contributions, chrf_contributions, nltk_bleu_contributions
from pipestill.metrics.rouge import rouge
from pipestill.metrics.subsequence import common_positions
from pipestill.metrics.summaries import score_summaries
from pipestill.text.tokens import library_tokens, unicode_tokens

VOCABULARY = (
    "the a patient patients treated treating with fever, (fever) 3.5 mg/dl año clínico niño's and was discharged; "
    'no lesions lesion shown by MRI naïve über 2024 don\'t 数据 "acute" pain'
)


def sentence(draw, longest=12):
    return " ".join(draw.choices(VOCABULARY.split(), k=draw.randint(0, longest))) + draw.choice((".", "", "...", "?"))


def text(draw, sentences=4):
    return "\n".join(sentence(draw) for _ in range(draw.randint(0, sentences)))


def lines(text):
    return text.split("\n")


def texts(seed, n, references=3):
    draw = random.Random(seed)
    return [text(draw) for _ in range(n)], [
        [text(draw) + " MRI" for _ in range(draw.randint(1, references))] for _ in range(n)
    ]


def score(name, contributions, rows=slice(None)):
    """A metric of some answers, from what they contribute."""
    return float(CATALOGUE[name].corpus(contributions.counts[rows].sum(axis=0)))


class Tokens:
    """The interface that the library takes other tokenizers by."""

    def __init__(self, tokenize):
        self.tokenize = lambda text: list(tokenize(text))


@pytest.mark.parametrize("stemming", [True, False])
def test_rouge_equals_the_library(stemming):
    names = {"1": "rouge1", "2": "rouge2", "l": "rougeL", "lsum": "rougeLsum"}
    library = RougeScorer(list(names.values()), use_stemmer=stemming)
    with_unicode = RougeScorer(list(names.values()), tokenizer=Tokens(unicode_tokens))
    kinds = ((library, lambda text: library_tokens(text, stemming)), (with_unicode, unicode_tokens))
    values = set()
    for prediction, references in zip(*texts(1, 150), strict=True):
        for scorer, tokenize in kinds:
            ours, theirs = rouge(prediction, references, tokenize, lines), scorer.score_multi(references, prediction)
            for name, key in names.items():
                expected = [100 * part for part in theirs[key]]
                assert [ours[name].precision, ours[name].recall, ours[name].f] == pytest.approx(expected, abs=1e-9)
                values.add(ours[name].f)
    assert len(values) > 200


def test_the_common_subsequence_is_the_one_that_the_library_takes():
    draw = random.Random(2)
    for _ in range(500):
        a, b = draw.choices("abcd", k=draw.randint(0, 70)), draw.choices("abcd", k=draw.randint(0, 70))
        found = common_positions(a, b)
        assert [i for i in range(len(a)) if found >> i & 1] == lcs_ind(a, b)


def test_accents_count_in_unicode_tokens_and_break_words_in_the_library_s():
    assert library_tokens("año clínico", stemming=False) == ("a", "o", "cl", "nico")
    assert unicode_tokens("an\u0303o CLÍNICO, 3.5") == ("año", "clínico", "3", "5")
    same, other = rouge("año", ["a o"], library_tokens, lines), rouge("año", ["a o"], unicode_tokens, lines)
    assert (same["1"].f, other["1"].f) == (100.0, 0.0)


def test_sentences_matter_for_lsum_alone():
    prediction, reference = "fever was treated\nthe patient died", ["the patient died\nfever was treated"]
    apart = rouge(prediction, reference, unicode_tokens, lines)
    together = rouge(prediction, reference, unicode_tokens, lambda text: [text])
    assert apart["lsum"].f == 100.0 > together["lsum"].f == together["l"].f
    assert all(apart[name] == together[name] for name in ("1", "2", "l"))


def streams(references):
    most = max(map(len, references))
    return [[row[i] if i < len(row) else None for row in references] for i in range(most)]


@pytest.mark.parametrize(
    ("name", "contributions", "metric"),
    [("bleu", bleu_contributions, sacrebleu.BLEU), ("chrf", chrf_contributions, sacrebleu.CHRF)],
)
def test_corpus_scores_equal_sacrebleu_for_all_and_for_any_rows(name, contributions, metric):
    predictions, references = texts(3, 40)
    ours, rng, seen = contributions(predictions, references), np.random.default_rng(0), set()
    theirs = metric()
    for size in (40, 40, 20, 5, 2, 1, 1, 1):
        rows = rng.integers(0, 40, size)
        kept = [references[i] for i in rows]
        expected = theirs.corpus_score([predictions[i] for i in rows], streams(kept)).score
        assert score(name, ours, rows) == pytest.approx(expected, abs=1e-9)
        seen.add(expected)
    assert len(seen) > 4
    theirs.corpus_score(predictions, streams(references))
    assert ours.signature == str(theirs.get_signature())


def test_many_sums_are_scored_at_once():
    predictions, references = texts(4, 30)
    for name, contributions in (("bleu", bleu_contributions), ("chrf", chrf_contributions)):
        metric, weights = contributions(predictions, references), np.random.default_rng(0).integers(0, 3, (7, 30))
        rows = [np.repeat(np.arange(30), row) for row in weights]
        expected = [score(name, metric, row) for row in rows]
        assert CATALOGUE[name].corpus(weights @ metric.counts) == pytest.approx(expected)


@pytest.mark.parametrize("rows", [30, 3])
def test_smoothed_bleu_equals_nltk(rows):
    predictions, references = texts(5, rows)
    predictions[0] = "pain"  # shorter than the longest n-gram
    tokenize = NLTKWordTokenizer().tokenize

    def words(text):
        return [token for line in lines(text) for token in tokenize(line)]

    expected = corpus_bleu(
        [[words(text) for text in row] for row in references],
        [words(text) for text in predictions],
        smoothing_function=SmoothingFunction().method1,
    )
    ours = nltk_bleu_contributions([*map(lines, predictions)], [[*map(lines, row)] for row in references], "newlines")
    assert score("bleu_nltk", ours) == pytest.approx(100 * expected, abs=1e-9)
    assert 0 < score("bleu_nltk", ours) < 50
    assert "method1" in ours.signature
    assert "newlines" in ours.signature


@pytest.mark.parametrize("answer", ["", "  \n", "..."])
def test_an_empty_answer_scores_0_in_every_metric(answer):
    scores = score_summaries([answer], [["the patient died."]], ["en"])
    assert {name for name, values in scores.answers.items() if values != [0.0]} == set()
    assert {score(name, metric) for name, metric in scores.corpus.items() if name != "chrf" or answer != "..."} == {0.0}


def test_a_perfect_answer_scores_100_in_every_metric():
    text = "El paciente mejoró tras el drenaje. Recibió el alta a las dos semanas."
    scores = score_summaries([text], [[text]], ["es"])
    assert scores.answers.pop("exact_match") == [1.0]
    assert {value for (value,) in scores.answers.values()} == {100.0}
    assert [score(*each) for each in scores.corpus.items()] == pytest.approx([100.0] * 3)


def test_scores_are_those_that_the_library_gives_by_default():
    predictions, references = texts(6, 40)
    scores = score_summaries(predictions, references, ["en"] * 40).answers
    library = RougeScorer(["rouge1", "rouge2", "rougeL"])  # no stemmer
    for name, key in (("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")):
        expected = [
            library.score_multi(row, text)[key].fmeasure for text, row in zip(predictions, references, strict=True)
        ]
        assert scores[name] == pytest.approx([100 * value for value in expected])


def test_signatures_name_tokens_sentences_and_versions():
    scores = score_summaries(["a b"], [["a b", "c"]], ["en"])
    assert scores.signatures["rouge"] == "rouge-score 0.1.2|tok:runs of a-z and 0-9|sentences:sentencex 1.0.32"
    assert "letters" in scores.signatures["rouge_unicode"]
    assert scores.signatures["bleu"].startswith("nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:")


def test_lists_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="2 predictions cannot be scored against references of 1 rows"):
        score_summaries(["a", "b"], [["a"]], ["en", "en"])
    with pytest.raises(UserError, match="without a reference"):
        score_summaries(["a"], [[]], ["en"])
    with pytest.raises(UserError, match="no prediction to score"):
        score_summaries([], [], [])


def test_nothing_heavy_is_imported():
    code = (
        "import sys; from pipestill.job.startup import hide_unused; hide_unused()\n"  # as every script
        "from pipestill.metrics.summaries import score_summaries; score_summaries(['a'], [['b']], ['en'])\n"
        "assert not any(map(sys.modules.get, ('torch', 'sklearn', 'scipy', 'pandas', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
