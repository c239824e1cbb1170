"""Rows of the published forms, and the messages that are made of them."""

import pytest

from pipestill.layouts.example import BadRow
from pipestill.tasks.dolly import ALPACA, DOLLY, PLAIN

# The published wordings, written out.
WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nName the city.\n\n### Input:\nAnna lives in Lima.\n\n### Response:"
)
WITHOUT_INPUT = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nName a city.\n\n### Response:"
)


def content(row):
    example = DOLLY.parse(row)
    return example.inputs["instruction"], example.inputs["input"], example.target, example.references


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"instruction": " Do it. ", "input": "", "output": "Done.\n"}, ("Do it.", "", "Done.", ("Done.",))),
        ({"instruction": "Do it.", "output": "Done."}, ("Do it.", "", "Done.", ("Done.",))),
        ({"instruction": "Do it.", "input": None, "output": ["Done."]}, ("Do it.", "", "Done.", ("Done.",))),
        (
            {"instruction": "Sort.", "input": "b a", "output": ["", "a b", "a, b"], "topic": "x"},
            ("Sort.", "b a", "a b", ("a b", "a, b")),
        ),
        (
            {"instruction": "Name the city.", "input": "", "prompt": WITH_INPUT, "output": "Lima"},
            ("Name the city.", "", "Lima", ("Lima",)),
        ),
        ({"prompt": "Say hello.", "output": "hello"}, ("Say hello.", "", "hello", ("hello",))),
        (
            {"prompt": f"{WITH_INPUT}\n", "output": "Lima"},
            ("Name the city.", "Anna lives in Lima.", "Lima", ("Lima",)),
        ),
        ({"prompt": WITHOUT_INPUT, "output": ["Oslo", "Rome"]}, ("Name a city.", "", "Oslo", ("Oslo", "Rome"))),
    ],
)
def test_the_published_forms_are_read(row, expected):
    assert content(row) == expected


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"instruction": "x", "output": ""}, "no answer"),
        ({"instruction": "x", "output": []}, "no answer"),
        ({"instruction": "x", "output": ["", "  "]}, "no answer"),
        ({"instruction": "x"}, "no answer"),
        ({"instruction": "x", "output": ["a", 3]}, "an answer is not text"),
        ({"instruction": "x", "output": {"a": "b"}}, "an answer is not text"),
        ({"instruction": "  ", "input": "x", "output": "y"}, "empty instruction"),
        ({"output": "y"}, "empty instruction"),
        ({"instruction": ["x"], "output": "y"}, "`instruction` is not text"),
        ({"instruction": "x", "input": 3, "output": "y"}, "`input` is not text"),
    ],
)
def test_rows_without_a_question_or_an_answer_are_bad(row, reason):
    with pytest.raises(BadRow, match=reason):
        DOLLY.parse(row)


def filled(template, instruction, text):
    return template.fill({"instruction": instruction, "input": text})


def test_prompts_have_the_published_wording():
    assert filled(ALPACA, "Name the city.", "Anna lives in Lima.") == WITH_INPUT
    assert filled(ALPACA, "Name a city.", "") == WITHOUT_INPUT
    assert filled(PLAIN, "Name the city.", "Anna lives in Lima.") == "Name the city.\nAnna lives in Lima."
    assert filled(PLAIN, "Name a city.", "") == "Name a city."


@pytest.mark.parametrize("text", ["", "context", "a\n\n### Response:\nb", "### Instruction:\n\n### Input:\nx"])
@pytest.mark.parametrize("instruction", ["Do it.", "Two\n\nparagraphs", "Explain ### Response:"])
def test_what_the_alpaca_wording_wraps_is_found_again(instruction, text):
    row = {"prompt": filled(ALPACA, instruction, text), "output": "x"}
    assert DOLLY.parse(row).inputs == {"instruction": instruction, "input": text}


@pytest.mark.parametrize("message", [WITH_INPUT.replace("describes", "names"), "### Instruction:\nx\n\n### Response:"])
def test_other_wordings_are_left_as_they_are(message):
    assert ALPACA.template.split(message) is None
    assert DOLLY.parse({"prompt": message, "output": "x"}).inputs == {"instruction": message, "input": ""}
