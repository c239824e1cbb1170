"""pass@k against all subsets, and code that is the same."""

from itertools import combinations

import numpy as np
import pytest

from pipestill.metrics.catalogue import CATALOGUE
from pipestill.metrics.code import SIZES, pass_at, same_code


@pytest.mark.parametrize("answers", range(1, 8))
def test_pass_at_k_is_the_share_of_subsets_with_a_passing_answer(answers):
    rng = np.random.default_rng(answers)
    passed = np.concatenate([rng.integers(0, 2, (answers, 20)), np.zeros((answers, 1)), np.ones((answers, 1))], axis=1)
    for k in range(1, answers + 1):
        subsets = list(combinations(range(answers), k))
        expected = np.mean([passed[list(chosen)].max(axis=0) for chosen in subsets], axis=0)
        np.testing.assert_allclose(pass_at(k, passed.astype(float)), expected, atol=1e-12)


def test_pass_at_1_is_the_mean_and_of_all_answers_the_best():
    passed = np.array([[1.0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1]])
    np.testing.assert_allclose(pass_at(1, passed), passed.mean(axis=0))
    np.testing.assert_allclose(pass_at(3, passed), passed.max(axis=0))


def test_the_catalogue_has_each_k():
    assert [CATALOGUE[f"pass_at_{k}"].title for k in SIZES] == [f"pass@{k}" for k in SIZES]
    passed = np.array([[1.0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [0, 0]])
    np.testing.assert_allclose(CATALOGUE["pass_at_5"].of_draws(passed), [5 / 6, 0])


def test_the_same_code_but_for_blank_lines_and_ends():
    code = "def f(x):\n    return x > 2"
    assert same_code("def f(x):  \n\n    return x > 2\n", [code])
    assert not same_code("def f(x):\n    return x < 2", [code])
    assert not same_code("def f(x):\n  return x > 2", [code])
