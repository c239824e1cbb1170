"""Problems in the layouts of HumanEval and MBPP."""

import json

import pytest

from pipestill.answers.code.problem import Problem
from pipestill.layouts.example import BadRow
from pipestill.layouts.raw import read_rows
from pipestill.layouts.reading import read_examples
from pipestill.tasks import TASKS

TASK = TASKS["codegen"]
HUMANEVAL = [
    {
        "task_id": "Own/0",
        "prompt": 'from math import floor\n\n\ndef half(n: float) -> int:\n    """Half of n.\n    >>> half(5)"""\n',
        "canonical_solution": "    return floor(n / 2)\n",
        "test": "\n\nMETADATA = {}\n\n\ndef check(candidate):\n    assert candidate(5) == 2\n",
        "entry_point": "half",
    },
    {
        "task_id": "Own/1",
        "prompt": 'def odd(n):\n    return n % 2\n\n\ndef odds(values):\n    """Odd values, by odd()."""\n',
        "canonical_solution": "    return [x for x in values if odd(x)]\n",
        "test": "def check(candidate):\n    assert candidate([1, 2, 3]) == [1, 3]\n",
        "entry_point": "odds",
    },
]
MBPP = [
    {
        "task_id": 1,
        "text": "Write a function to join the words.",
        "code": "def helper(x):\n    return x\ndef glue(words, sign=','):\n    return sign.join(map(helper, words))",
        "test_list": ["assert glue(['a', 'b']) == 'a,b'", "assert glue([], '-') == ''"],
        "test_setup_code": "",
        "challenge_test_list": [],
    },
    {
        "task_id": 2,
        "prompt": "Write sum_of(xs), the sum.",
        "code": "import math\ndef sum_of(xs):\n    return math.fsum(xs)",
        "test_imports": ["import math"],
        "test_list": ["assert math.isclose(sum_of([.1, .2]), .3)"],
    },
]


def records(tmp_path, rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_examples(TASK, read_rows(path), "humaneval").records


def test_humaneval(tmp_path):
    first, second = records(tmp_path, HUMANEVAL)
    assert first.inputs["prompt"].startswith("from math import floor") and first.inputs["prompt"].endswith('"""')
    assert first.target.endswith("return floor(n / 2)") and first.meta["task_id"] == "Own/0"
    problem = Problem.of_record(first)
    assert (problem.before, problem.entry_point) == ("from math import floor", "half")
    assert problem.check.startswith("METADATA") and not problem.tests
    assert Problem.of_record(second).before == "def odd(n):\n    return n % 2"


def test_mbpp(tmp_path):
    first, second = records(tmp_path, MBPP)
    assert first.inputs["prompt"] == "Write a function to join the words.\nFunction: glue(words, sign=',')"
    assert first.meta["tests"] == MBPP[0]["test_list"] and first.meta["entry_point"] == "glue"
    assert second.inputs["prompt"] == "Write sum_of(xs), the sum."  # which names the function
    problem = Problem.of_record(second)
    assert (problem.setup, problem.before, problem.check) == ("import math", "import math", None)


@pytest.mark.parametrize(
    ("row", "change", "reason"),
    [
        (MBPP[0], {"code": "def glue(:"}, "code: no Python"),
        (MBPP[0], {"test_list": []}, "`test_list` is no list of texts"),
        (MBPP[0], {"test_list": "assert glue([]) == ''"}, "`test_list` is no list of texts"),
        (MBPP[0], {"test_list": ["assert other(1) == 2"]}, "the first test calls no function of the code"),
        (MBPP[0], {"test_list": ["assert glue(["]}, "tests: no Python"),
        (MBPP[0], {"text": "  "}, "`text` is empty"),
        (HUMANEVAL[0], {"entry_point": "third"}, "no function `third`"),
        (HUMANEVAL[0], {"canonical_solution": "  return 1"}, "prompt and canonical_solution: no Python"),
        (HUMANEVAL[0], {"test": 3}, "`test` is not text"),
    ],
)
def test_bad_rows_are_named(row, change, reason):
    with pytest.raises(BadRow, match=reason.replace("(", r"\(")):
        TASK.parse(row | change)
