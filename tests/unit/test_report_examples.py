"""Examples of the report: which are shown, how answers are marked, and how little they take of the page."""

import json
from dataclasses import replace

import pytest

from pipestill.answers.code import show as show_code
from pipestill.answers.json import show as show_json
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.reporting.blocks import differences, line_differences, shortened, text
from pipestill.reporting.collect import collect
from pipestill.reporting.examples import DIFFERING, DRAWN, examples_of
from support.reports import write_study
from support.text_reports import write_text_study


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    write_study(root, "creditmix", n_per_class=45, seeds=2)
    write_text_study(root, "dolly", per_set=12, seeds=2, methods=("base", "sft", "todi"), sampling=(10, 20))
    return root


def of(root, study, *methods):
    studies = collect([root / f"{study}_{method}/eval.json" for method in methods])
    records = [root / "data/creditmix/cropped.jsonl", root / "data/dolly/cropped.jsonl"]
    return examples_of(studies, records)[study]


@pytest.fixture(scope="module")
def labels(root):
    return of(root, "creditmix", "base", "sft", "teacher")


@pytest.fixture(scope="module")
def texts(root):
    return of(root, "dolly", "base", "sft", "todi")


def test_those_on_which_methods_differ_come_before_a_draw(labels, texts):
    for shown in (labels, texts):
        assert len(shown.examples) == DRAWN + DIFFERING and shown.differing == DIFFERING
        assert [example.drawn for example in shown.examples] == [False] * DIFFERING + [True] * DRAWN
        assert len({example.id for example in shown.examples}) == DRAWN + DIFFERING

    def apart(example):
        scores = [answer.score for answer in example.answers]
        return max(scores) - min(scores)

    differing, drawn = labels.examples[:DIFFERING], labels.examples[DIFFERING:]
    assert sum(map(apart, differing)) / DIFFERING > sum(map(apart, drawn)) / DRAWN


def test_the_draw_is_that_of_the_seed(root, labels):
    again = of(root, "creditmix", "base", "sft", "teacher")
    assert again.data() == labels.data()


def test_answers_are_those_of_the_first_run(root, texts):
    answers = {}
    for row in read_jsonl(root / "dolly_todi/predictions/seed_1/predictions.jsonl"):
        answers.setdefault(row["id"], row)
    for row in read_jsonl(root / "dolly_todi/scores.jsonl"):
        answers[row["id"]].setdefault("rouge_l", row["rouge_l"])
    for example in texts.examples:
        kind, runs = example.answers[2].shown.answer[-1]
        assert kind == "text"
        assert "".join(part for part, mark in runs if mark >= 0) == answers[example.id]["prediction"]
        assert example.answers[2].score == answers[example.id]["rouge_l"]
        assert example.test_set == answers[example.id]["test_set"]


def test_prompts_are_those_that_were_asked(root, tmp_path):
    records = root / "data/creditmix/cropped.jsonl"
    asked = tmp_path / "creditmix/cropped.jsonl"
    write_jsonl(asked, [{**row, "prompt": f"{row['id']}?", "inputs": {"features": "x"}} for row in read_jsonl(records)])
    job = root / "creditmix_sft/predictions/job.json"
    job.write_text(json.dumps({"settings": {"asking": {"prompt": {"text": "About {features}:"}}}}))
    shown = examples_of(collect([root / f"creditmix_{name}/eval.json" for name in ("base", "sft")]), [asked])
    job.unlink()
    row = shown["creditmix"].data()["examples"][0]
    assert row["prompts"] == [f"{row['id']}?", "About x:"]
    assert [answer["prompt"] for answer in row["answers"]] == [0, 1]


def test_texts_are_cut_until_they_fit(texts):
    wanted = replace(texts, limit=60).size
    small = texts.within(wanted)
    assert small.size <= wanted and small.limit < texts.limit and len(small.examples) == len(texts.examples)
    least = texts.within(3000)
    assert 0 < len(least.examples) < len(texts.examples) and least.size <= 3000
    assert texts.within(10).examples == []


def marks(answer, *references):
    return differences(answer, references)[1]


def test_differences_are_marked_word_by_word():
    assert marks("the cat sat", "the cat sat") == [["the cat sat", 0]]
    assert marks("the dog sat", "the cat sat") == [["the ", 0], ["cat", -1], ["dog", 1], [" sat", 0]]
    assert marks("the cat", "the cat sat") == [["the cat", 0], ["sat", -1]]
    assert marks("the  cat", "the cat") == [["the  cat", 0]]  # spaces are no difference
    assert marks("a b c", "x y z") == [["a b c", 1]]  # nothing in common
    assert marks("to Paris by train", "no", "to Rome by train")[1:3] == [["Rome", -1], ["Paris", 1]]
    assert marks("", "") == [] and marks("", "a") == [["", 1]]


def test_differences_of_lines_leave_indentation_and_commas_alone():
    gold, answer = '{\n  "a": 1,\n  "b": 2\n}', '{\n  "a": 1,\n  "b": 3,\n  "c": 4\n}'
    assert line_differences(answer, gold) == [
        "code",
        [['{\n  "a": 1,\n  ', 0], ['"b": 2', -1], ["\n  ", 0], ['"b": 3,', 1], ["\n  ", 0], ['"c": 4', 1], ["\n}", 0]],
    ]
    assert line_differences("x\n", "y\n") == ["code", [["x\n", 1]]]
    assert line_differences(gold, gold + "\n") == ["code", [[gold, 0]]]


def test_json_is_marked_where_fields_differ_and_not_where_it_is_written_otherwise():
    gold = {"name": "A B", "total": 6.0, "none": None, "items": [{"n": 1}, {"n": 2}]}
    written = {"items": [{"n": 1}, {"n": 3}], "more": True, "total": 6, "name": "A  B"}
    own, known = show_json.aligned(written, gold)
    assert own == {"name": "A B", "total": 6.0, "items": [{"n": 1}, {"n": 3}], "more": True}
    assert list(own) == ["name", "total", "items", "more"] and "none" not in known
    assert show_json.aligned([1], {"a": 1}) == ([1], {"a": 1})
    row = {"prediction": json.dumps(written), "references": [json.dumps(gold)]}
    shown = show_json.example(row, {"schema_valid": 0.0})
    assert shown.answer[0] == ["note", "not valid by the schema", "bad"]
    marked = [part for part, mark in shown.answer[1][1] if mark]
    assert marked == ['"n": 2', '"n": 3', '"more": true']
    broken = show_json.example({**row, "prediction": "{no"}, {"schema_valid": 0.0})
    assert broken.answer == [["note", "no JSON", "bad"], ["text", [["{no", 1]]]]


def test_code_has_what_became_of_its_tests():
    row = {"prediction": "Sure:\ndef f(x):\n    return x\n", "references": ["def f(x):\n    return -x\n"]}
    shown = show_code.example(row, {"outcome": "failed"})
    assert shown.answer[0] == ["note", "tests: failed", "bad"]
    assert shown.answer[1][1][0] == ["def f(x):\n    ", 0] and ["return x", 1] in shown.answer[1][1]
    assert show_code.example(row, {"outcome": "passed"}).answer[0] == ["note", "tests passed", "good"]


def test_long_texts_are_cut_across_runs():
    assert shortened([text("abcdef")], 4) == [["text", [["abcd…", 0]]]]
    runs = [["text", [["abc", 0], ["def", 1], ["ghi", -1]]]]
    assert shortened(runs, 4) == [["text", [["abc", 0], ["d…", 1]]]]
    assert shortened(runs, 9) == runs
    assert shortened([["note", "abcdef", "bad"], ["bars", [["abcdef", 0.5, True]]]], 3) == [
        ["note", "abc…", "bad"], ["bars", [["abcdef", 0.5, True]]],
    ]  # fmt: skip
