"""ROUGE-L against the library's own scorer, and what is said of answers that cannot be scored."""

import random
import subprocess
import sys

import pytest
from rouge_score.rouge_scorer import RougeScorer, _lcs_table

from pipestill.errors import UserError
from pipestill.metrics.exact_match import exact_match
from pipestill.metrics.measures import SHORT_ANSWERS
from pipestill.metrics.rouge import common_subsequence, rouge_l

VOCABULARY = (
    "the a cat cats running runs ran organisation organizations Generously flies dying agreed relational 1990 3.5 "
    "don't e-mail über naïve 数据 ROUGE, (L). ... - happily happy sky skies is"
)


def text(draw, longest=60):
    return " ".join(draw.choices(VOCABULARY.split(), k=draw.randint(0, longest)))


@pytest.mark.parametrize("stemming", [False, True])
def test_equals_the_library(stemming):
    draw, scorer = random.Random(0), RougeScorer(["rougeL"], use_stemmer=stemming)
    values = []
    for _ in range(300):
        prediction, references = text(draw), [text(draw) for _ in range(draw.randint(1, 4))]
        expected = 100 * scorer.score_multi(references, prediction)["rougeL"].fmeasure
        values.append(rouge_l(prediction, references, stemming))
        assert values[-1] == pytest.approx(expected, abs=1e-10)
    assert len(set(values)) > 150


@pytest.mark.parametrize("answer", ["", "...", "  \n", "数据"])
def test_an_answer_without_words_scores_0(answer):
    assert rouge_l(answer, ["the cat", ""]) == 0.0


def test_best_reference_counts():
    assert rouge_l("the cat", ["a dog", "The cat!"]) == 100.0


def test_common_subsequence_of_long_texts():
    draw = random.Random(1)
    for n in (1, 63, 64, 65, 300):
        a, b = draw.choices("abcde", k=n), draw.choices("abcde", k=n + 7)
        assert common_subsequence(a, b) == common_subsequence(b, a) == _lcs_table(a, b)[-1][-1]
    assert common_subsequence([], ["a"]) == common_subsequence(["a"], []) == 0


def test_exact_match_ignores_case_punctuation_and_spaces_but_not_articles():
    assert exact_match(" The  cat! ", ["a dog", "the cat"]) == 1.0
    assert exact_match("cat", ["the cat"]) == 0.0


def test_nothing_is_cut_to_the_shorter_list():
    scored = SHORT_ANSWERS.functions.score(["a cat", "c"], [["a cats"], ["d", "e"]], [None, None], "sentencex")
    assert scored.columns == {"rouge_l": [100.0, 0.0], "exact_match": [0.0, 0.0]}
    with pytest.raises(ValueError, match="shorter"):
        SHORT_ANSWERS.functions.score(["a", "b"], [["a"]], [None, None], "sentencex")
    for metric in (rouge_l, exact_match):
        with pytest.raises(UserError, match="without a reference"):
            metric("a", [])


def test_nothing_heavy_is_imported():
    code = (
        "import sys; from pipestill.job.startup import hide_unused; hide_unused()\n"  # as every script
        "from pipestill.metrics.rouge import rouge_l; assert 'nltk' not in sys.modules; rouge_l('a', ['b'])\n"
        "assert not any(map(sys.modules.get, ('torch', 'sklearn', 'scipy', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
