"""Templates: inputs to a message, and the way back."""

import pytest

from pipestill.errors import UserError
from pipestill.tasks import TASKS
from pipestill.tasks.dolly import ALPACA
from pipestill.text.templates import Template

PAIR = Template("{premise}\nQ: {hypothesis}?\nA:", "{premise}{hypothesis}?\nA:")


def test_the_first_wording_whose_gaps_all_have_text_is_used_or_else_the_last():
    assert PAIR.fill({"premise": "p", "hypothesis": "h"}) == "p\nQ: h?\nA:"
    assert PAIR.fill({"premise": "p", "hypothesis": ""}) == "p?\nA:"
    assert PAIR.fill({"premise": "", "hypothesis": ""}) == "?\nA:"
    assert PAIR.gaps == ("premise", "hypothesis")


def test_braces_are_doubled_in_wordings_and_left_alone_in_values():
    template = Template("{{x}} {value} {{")
    assert template.fill({"value": "{premise} {{}}"}) == "{x} {premise} {{}} {"
    assert template.ending == " {"
    assert template.split("{x} {premise} {{}} {") == {"value": "{premise} {{}}"}


def test_the_ending_stands_behind_the_last_gap():
    assert PAIR.ending == "?\nA:"
    assert ALPACA.template.ending == "\n\n### Response:"
    assert Template("{document}").ending == ""
    assert Template("The domain").ending == ""  # without inputs nothing is too long


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_every_message_of_a_task_ends_as_its_prompt_says(task):
    for prompt in task.prompts.values():
        if prompt.privileged:  # no message of the task, but of its teacher
            continue
        assert set(prompt.template.gaps) <= set(task.inputs)
        for given in ({}, dict.fromkeys(task.inputs, "x"), {task.inputs[0]: "x"}):
            assert prompt.fill(dict.fromkeys(task.inputs, "") | given).endswith(prompt.form.ending)


def test_wordings_that_end_in_different_ways_are_refused():
    with pytest.raises(ValueError, match="end in different ways"):
        Template("{a}.", "{a}!")
    with pytest.raises(ValueError, match="end in different ways"):
        Template("{a}\nAnswer:", "{b}")


def test_a_missing_input_is_named():
    with pytest.raises(UserError, match=r"has \{hypothesis\}, but there is no text of this name; there are: premise"):
        PAIR.fill({"premise": "p"})


@pytest.mark.parametrize("text", ["", "context", "{input} {{", "two\n\nparagraphs", "a\n\n### Response:\nb"])
def test_a_message_is_split_into_the_inputs_that_it_was_made_of(text):
    inputs = {"instruction": "Do {this}.", "input": text}
    found = ALPACA.template.split(ALPACA.fill(inputs))
    assert found == (inputs if text else {"instruction": inputs["instruction"]})


def test_spaces_around_a_message_and_around_its_inputs_do_not_count():
    assert PAIR.split(" p \nQ: h ?\nA:\n") == {"premise": "p", "hypothesis": "h"}


@pytest.mark.parametrize("message", ["p\nQ: h?", "Answer: p\nQ: h?\nA", ""])
def test_a_message_of_another_template_is_not_split(message):
    assert PAIR.split(message) is None
