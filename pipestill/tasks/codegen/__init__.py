"""Code generation: Python functions from descriptions, judged by unit tests.

Test sets: problems whose parts are combined as in training rows (``seen``) and as in none of them (``unseen``), and
those of HumanEval and MBPP, in their published layouts.
"""

from pipestill.answers.code import Code
from pipestill.layouts.test_sets import TestSets
from pipestill.settings.prompts import Prompt
from pipestill.tasks.base import ANSWER, Task
from pipestill.tasks.codegen.problems import parse
from pipestill.tasks.codegen.synthetic import generate

CODEGEN = Task(
    name="codegen",
    inputs=("prompt",),
    prompts={
        ANSWER: Prompt(text="{prompt}"),
        "instructed": Prompt(text="Answer with Python code alone.\n{prompt}"),
    },
    layout=TestSets(("seen", "unseen", "humaneval", "mbpp")),
    answers=Code(max_new_tokens=128),
    parse=parse,
    synthetic=generate,
)
