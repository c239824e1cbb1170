"""Rows in the forms of other tools, recognised by their columns."""

import pytest

from pipestill.answers.kinds import KINDS
from pipestill.layouts.columns import Row
from pipestill.layouts.example import BadRow
from pipestill.tasks.declared import parse

TEXT = KINDS["text"].of({"measure": "short_answers", "max_new_tokens": 8, "pairs": False})
PAIRS = KINDS["text"].of({"measure": "short_answers", "max_new_tokens": 8, "pairs": True})


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def read(row, answers=TEXT, inputs=("text",), columns=None):
    """Prompt, answer and worse answer of a row."""
    example = parse(inputs, answers, Row(row, columns or {}))
    return "|".join(example.inputs.values()), example.target, example.rejected


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"messages": [user("Q"), assistant("A")]}, "Q"),
        ({"messages": [user([{"type": "text", "text": "Q"}]), assistant("A"), user("Thanks")]}, "Q"),
        ({"messages": [{"role": "system", "content": "Be brief."}, user("Q"), assistant("A")]}, "Be brief.\n\nQ"),
        (
            {"messages": [user("One"), assistant("Two"), user("Three"), assistant("A")]},
            "User: One\nAssistant: Two\nUser: Three",
        ),
        ({"instruction": "Count.", "input": "a, b", "output": "A"}, "Count.\n\na, b"),
        ({"instruction": "Count.", "input": "", "output": "A"}, "Count."),
        ({"instruction": "Count.", "output": "A"}, "Count."),
        ({"prompt": "Q", "completion": "A"}, "Q"),
        ({"prompt": [user("Q")], "completion": [assistant("A")]}, "Q"),
    ],
)
def test_the_last_turn_is_the_answer_and_what_stands_before_it_the_prompt(row, text):
    assert read(row) == (text, "A", None)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Q", "chosen": "A", "rejected": "B"},
        {"prompt": [user("Q")], "chosen": [assistant("A")], "rejected": [assistant("B")]},
        {"chosen": [user("Q"), assistant("A")], "rejected": [user("Q"), assistant("B")]},
    ],
)
def test_of_preferences_the_chosen_answer_is_learnt_and_the_other_one_kept(row):
    assert read(row, PAIRS) == ("Q", "A", "B")
    assert read(row, TEXT) == ("Q", "A", None)


def test_a_table_of_ones_own_may_have_worse_answers_too():
    row = {"text": "Q", "good": "A", "bad": "B"}
    assert read(row, PAIRS, columns={"target": "good", "rejected": "bad"}) == ("Q", "A", "B")


def test_columns_of_the_task_come_first():
    assert read({"text": "Q", "target": "A", "messages": [user("x")]}) == ("Q", "A", None)
    row = {"instruction": "Q", "input": "", "output": "A"}
    assert read(row, inputs=("instruction", "input"), columns={"target": "output"}) == ("Q|", "A", None)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"messages": [user("Q")]}, "`messages` has no turn of the assistant"),
        ({"messages": [assistant("A")]}, "`messages` has nothing before the answer"),
        ({"messages": "Q"}, "`messages` is no list of messages"),
        ({"messages": [user([{"type": "image"}]), assistant("A")]}, "`messages` has a part that is not text"),
        ({"messages": [user(None), assistant("A")]}, "`messages` is not text"),
        ({"chosen": "A", "rejected": "B"}, "`prompt` is missing"),
        ({"prompt": "Q", "chosen": "A", "rejected": " "}, "`rejected` is not text"),
        ({"prompt": "Q", "chosen": "A", "rejected": "A "}, "`rejected` is the answer itself"),
    ],
)
def test_a_broken_row_says_what_is_wrong(row, reason):
    with pytest.raises(BadRow, match=reason):
        read(row, PAIRS)
