"""One answer by hand is scored as an evaluation scores it, and shown as the report shows it."""

from types import SimpleNamespace

import pytest

from pipestill.io.records import Record
from pipestill.serving.judge import given, judged
from pipestill.serving.problems import Problem
from pipestill.tasks import TASKS

PROBLEM = {"entry_point": "f", "tests": ["assert f(3) == 3"]}
RIGHT = [["text", [["Good", 0]]], ["note", "right", "good"]], [["text", [["Good", 0]]]]


def ask(task, target, answer, **meta):
    """What is said of ``answer`` where ``target`` is right."""
    inputs = dict.fromkeys(TASKS[task].inputs, "?")
    record = Record(id="1", split="test", inputs=inputs, target=target, references=[target], test_set=None, meta=meta)
    settings = SimpleNamespace(asking=SimpleNamespace(answers={}), splitter="sentencex")
    exhibit = SimpleNamespace(task=TASKS[task], first=SimpleNamespace(settings=settings))
    found = judged(exhibit, record, answer)
    return {each["metric"]: each["text"] for each in found["scores"]}, found["answer"], found["reference"]


def test_text_has_its_metrics_and_differences():
    scores, answer, reference = ask("dolly", "the cat sat there", "the dog sat there")
    assert scores == {"rouge_l": "75.00", "exact_match": "0.000"}
    assert answer == [["text", [["the ", 0], ["cat", -1], ["dog", 1], [" sat there", 0]]]]
    assert reference == [["text", [["the cat sat there", 0]]]]
    assert ask("dolly", "the cat", "")[0]["rouge_l"] == "0.00"


def test_json_is_compared_by_fields():
    scores, answer, _ = ask("idp", '{"number": "A", "total": 2.5}', '{"number": "A", "total": 2}')
    assert scores == {"field_f1": "0.500", "exact_match": "0.000", "schema_valid": "0.000"}
    assert ["note", "not valid by the schema", "bad"] in answer
    scores, answer, _ = ask("idp", '{"number": "A"}', "no object")
    assert scores["field_f1"] == "0.000" and answer[0] == ["note", "no JSON", "bad"]


def test_code_is_run():
    right, answer, _ = ask("codegen", "def f(x):\n    return x", "def f(x): return x", **PROBLEM)
    assert right["pass_at_1"] == "1.000" and answer[0] == ["note", "tests passed", "good"]
    wrong, answer, _ = ask("codegen", "def f(x):\n    return x", "def f(x): return 1 / 0", **PROBLEM)
    assert wrong["pass_at_1"] == "0.000" and answer[0] == ["note", "tests: ZeroDivisionError", "bad"]


def test_labels_are_right_or_wrong():
    assert ask("creditmix", "Good", "Good") == ({"accuracy": "1.000"}, *RIGHT)
    assert ask("creditmix", "Good", "Bad")[1] == [["text", [["Bad", 1]]], ["note", "wrong", "bad"]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "an answer to a test example is judged: send"),
        ({"example": True, "prediction": "a"}, "send"),
        ({"example": 1.0, "prediction": "a"}, "send"),
        ({"example": 1, "prediction": None}, "send"),
        ({"example": 1, "prediction": "a", "code": "b"}, "send"),
        ({"example": 1, "prediction": "a" * 20_001}, "`prediction` has 20001 characters: send 20000 at most"),
        ({"example": 1, "prediction": "\ud800"}, "`prediction` is not UTF-8 text: send it as UTF-8"),
    ],
)
def test_bodies_that_are_none(body, message):
    with pytest.raises(Problem) as found:
        given(body)
    assert found.value.status == 422 and message in found.value.detail
    assert given({"example": 7, "prediction": ""}) == (7, "")
