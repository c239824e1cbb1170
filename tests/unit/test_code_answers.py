"""Answers that are code: how they are taken from texts, made wrong, judged and scored."""

import ast
import json
from contextlib import closing
from random import Random

import numpy as np
import pytest

from pipestill.answers.base import Said
from pipestill.answers.code import CodeOptions, ExecutionConfig, score
from pipestill.answers.code.entry import CodeDetails
from pipestill.answers.code.execution import Judge, outcome
from pipestill.answers.code.extraction import code_of
from pipestill.answers.code.mutations import KINDS, mutants
from pipestill.answers.code.problem import Problem
from pipestill.errors import UserError
from pipestill.evaluation.evaluate import score_rows, summarise
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.plan.check import check
from pipestill.plan.needs import Needs
from pipestill.plan.plan import Plan
from pipestill.plan.preflight import problems
from pipestill.settings.evaluation import Experiment, StatisticsConfig
from pipestill.settings.models import BaseModelConfig
from pipestill.tasks import TASKS
from pipestill.tasks.codegen.synthetic import generate
from support.configurations import smoke
from support.workflow import ROOT

TASK = TASKS["codegen"]
ADD = "def add(a, b):\n    return a + b"
ADDED = {"entry_point": "add", "tests": ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"]}
TWICE = {
    "entry_point": "twice",
    "before": "import math",
    "check": "def check(candidate):\n    assert candidate(2) == 4",
}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (ADD, ADD),
        (f"Here it is:\n\n{ADD}\n", ADD),
        (f"Sure!\n```python\n{ADD}\n```\nIt adds.", ADD),
        (f"```\npip install x\n```\nthen\n```py\nimport os\n{ADD}\n```", f"import os\n{ADD}"),
        (f"```python\n{ADD}", ADD),  # cut
        (f"@cache\n{ADD}", f"@cache\n{ADD}"),
        (f"from a and b, the sum:\ndefined as\n{ADD}", ADD),
        (f"from math import floor\n{ADD}", f"from math import floor\n{ADD}"),
        ("I define nothing.", "I define nothing."),
        ("", ""),
    ],
)
def test_code_is_taken_from_an_answer(answer, code):
    assert code_of(answer) == code


def test_mutants_are_other_programs_and_small_changes():
    rows = generate({"train": 140}, seed=5)[0]["train"]
    for number, row in enumerate(rows):
        found = mutants(row["code"], Random(number))
        assert len(found) >= 2 and len(set(found)) == len(found)
        for each in found:
            assert ast.dump(ast.parse(each)) != ast.dump(ast.parse(row["code"])) and "def " in each
            changed = set(each.splitlines()) ^ set(row["code"].splitlines())
            assert len(changed) <= 2
        assert found == mutants(row["code"], Random(number))


def test_every_kind_of_mutation_is_made():
    body = 'if not xs:\n        return "a"\n    ys = xs[k:]\n    return min(x + 1 for x in ys if x in xs)'
    source = f"def f(xs, k):\n    {body}"
    found = "\n".join(mutants(source, Random(1)))
    for text in ("- 1", "+ 2", '""', "max(", "ys = k[k:]", "if xs:", "not in", "xs[:k]"):
        assert text in found
    assert len(KINDS) == 8
    assert mutants("def f(:", Random(1)) == []


@pytest.fixture(scope="module")
def judge():
    with closing(Judge(ExecutionConfig())) as opened:
        yield opened


@pytest.mark.parametrize(
    ("facts", "code", "became"),
    [
        (ADDED, ADD, "passed"),
        (ADDED, ADD.replace("+", "-"), "failed"),
        (ADDED, ADD.replace("b", "c", 1), "NameError"),
        (ADDED, "def add(a, b)\n    return a + b", "SyntaxError"),
        (ADDED, "", "NameError"),
        (ADDED, "def add(a, b):\n    while True:\n        pass", "timeout"),
        (ADDED, f"{ADD}\nraise SystemExit(0)", "exited"),
        (TWICE, "def twice(x):\n    return int(math.pow(x, 2))", "passed"),
        (TWICE, "def twice(x):\n    return x", "failed"),
    ],
)
def test_answers_are_judged(judge, facts, code, became):
    [result] = judge([(Problem("p", **facts), code)])
    assert outcome(result) == became
    assert result.compiles == (became != "SyntaxError")


def test_equal_answers_run_once(judge, monkeypatch):
    asked = []
    run = judge._sandbox.run
    monkeypatch.setattr(judge._sandbox, "run", lambda programs: run(asked.extend(programs) or asked))
    problem = Problem("p", **ADDED)
    found = judge([(problem, ADD), (problem, "def add(a, b):\n    return 3"), (problem, ADD)])
    assert [each.passed for each in found] == [True, False, True] and len(asked) == 2


def test_a_measure_that_is_required_and_not_in_force_stops(monkeypatch):
    from pipestill.sandbox import pool

    monkeypatch.setattr(pool.Sandbox, "_start", lambda self, *_: ("limits",))
    with pytest.raises(UserError, match="seccomp"):
        Judge(ExecutionConfig(required=["seccomp"]))


def record(name="r", target=ADD, **facts):
    return Record(name, "train", {"prompt": "Add."}, target, [target], meta={"line": 3, **ADDED, **facts})


def test_rejected_solutions_fail_their_tests(judge):
    rows = generate({"train": 28}, seed=6)[0]["train"]
    with TASK.answers.lessons(CodeOptions()) as lessons:
        for number, row in enumerate(rows):
            example = TASK.parse(row)
            each = Record(f"r{number}", "train", dict(example.inputs), example.target, [], meta=dict(example.meta))
            wrong = lessons.rejected(each, None, Random(number))
            assert wrong != each.target and not lessons.passes(each, wrong) and lessons.passes(each, each.target)


def test_a_failing_answer_of_the_teacher_is_rejected_first():
    with TASK.answers.lessons(CodeOptions()) as lessons:
        said = {"outputs": ["Here:\ndef add(a, b):\n    return 3"]}
        assert lessons.rejected(record(), said, Random(1)) == "def add(a, b):\n    return 3"
        passing = lessons.rejected(record(), {"outputs": [ADD]}, Random(1))
        assert passing in mutants(ADD, Random(1))
        with pytest.raises(UserError, match=r"record r .line 3.: its tests pass for a function that does nothing"):
            lessons.rejected(record(tests=["add(1, 2)"]), None, Random(1))


def test_what_kd_learns():
    wrong = {"outputs": ["def add(a, b):\n    return 3"]}
    with TASK.answers.lessons(CodeOptions()) as lessons:
        assert lessons.taught(record(), wrong) == wrong["outputs"][0]
    with TASK.answers.lessons(CodeOptions(teacher_code="passing")) as lessons:
        assert lessons.taught(record(), wrong) == ADD
        assert lessons.taught(record(), {"outputs": [f"{ADD}  # sum"]}) == f"{ADD}  # sum"


def test_weights_are_chosen_without_running_anything():
    said = Said("r", [f"```\n{ADD}\n```", "def add(a, b):\n    return b + a"])
    assert TASK.answers.score_one(said, [ADD]) == 0.5 and TASK.answers.selecting == "exact_match"


def test_nothing_is_started_where_nothing_runs(monkeypatch):
    from pipestill.answers.code import lessons as module

    monkeypatch.setattr(module, "Judge", None)
    with TASK.answers.lessons(CodeOptions()) as lessons:
        assert lessons.taught(record(), {"outputs": ["x"]}) == "x"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"pass_at": [5]}, "`pass_at` lacks 1"),
        ({"pass_at": [1, 5]}, "`pass_at` 5 needs as many answers to a problem, and there is 1"),
        ({"pass_at": [1, 5], "sampling": True, "sampling_seeds": [1, 2, 3]}, "there are 3"),
        ({"pass_at": [1, 4]}, "pass_at"),
        ({"execution": {"cpu_seconds": 0}}, "cpu_seconds"),
        ({"execution": {"required": ["walls"]}}, "required"),
    ],
)
def test_options_that_do_not_fit_are_refused(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        CodeOptions.model_validate(given)


def test_models_from_elsewhere_need_leave():
    own = BaseModelConfig(source="path", path="resources/models/demo-student")
    hub = BaseModelConfig(source="hub", repo="some/model", revision="0" * 40)
    check = TASK.answers.check_models
    check(CodeOptions(), {"student": own, "teacher": own})
    for models in ({"student": hub}, {"student": own, "teacher": hub}, {"student": own, "checkpoints.x": None}):
        with pytest.raises(ValueError, match=r"^allow_code_execution: .*set it to true"):
            check(CodeOptions(), models)
        check(CodeOptions(allow_code_execution=True), models)


def test_a_directory_that_looks_like_a_shipped_one_is_from_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "resources/models/demo-student").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert not BaseModelConfig(source="path", path="resources/models/demo-student").is_shipped


PROBLEMS = {"a": ("seen", "sorting"), "b": ("seen", "strings"), "c": ("unseen", "sorting")}
ANSWERS = {  # by problem, one a sampling seed
    "a": [ADD, f"```\n{ADD}\n```", "def add(a, b):\n    return 3"],
    "b": [ADD.replace("+", "-")] * 3,
    "c": ["def add(", ADD, "I cannot."],
}


def write_run(directory, seed=1):
    rows = [
        {
            **{"id": name, "split": "test", "test_set": PROBLEMS[name][0], "subset": PROBLEMS[name][1]},
            **{"sampling_seed": draw, "prediction": answer, "references": [ADD]},
        }
        for name, answers in ANSWERS.items()
        for draw, answer in enumerate(answers)
    ]
    run = directory / f"predictions/seed_{seed}"
    write_jsonl(run / "predictions.jsonl", rows)
    write_jsonl(run / "tests.jsonl", [{"id": name, **ADDED, "subset": part} for name, (_, part) in PROBLEMS.items()])
    return run


OPTIONS = {"sampling": True, "sampling_seeds": [0, 1, 2], "pass_at": [1, 3, 2]}
SETS = ["seen", "unseen"]


def scored(directory):
    experiment = Experiment.model_construct(test_sets=SETS, answers=OPTIONS, task="codegen", declared=None)
    return score.runs(TASK, experiment, directory / "predictions", {})


def test_runs_are_scored_and_read_back(tmp_path):
    write_run(tmp_path)
    found = scored(tmp_path)
    values = {name: metric.estimate() for name, metric in found[1].metrics.items()}
    assert values["pass_at_1"] == pytest.approx((1 / 3 + 1 / 3) / 2)  # test sets count the same
    assert values["pass_at_1/seen"] == pytest.approx(1 / 3) and values["pass_at_1/unseen"] == pytest.approx(1 / 3)
    assert values["pass_at_2"] == pytest.approx(((1 + 0) / 2 + 2 / 3) / 2)
    assert values["pass_at_3"] == pytest.approx(((1 + 0) / 2 + 1) / 2)
    assert values["compile_rate"] == pytest.approx((1 + 1 / 3) / 2)
    assert values["exact_match"] == pytest.approx((1 / 3 + 1 / 3) / 2)
    details = CodeDetails.model_validate({key: found[1].details()[key] for key in CodeDetails.model_fields})
    assert details.outcomes == {"failed": 4, "passed": 3, "SyntaxError": 2}
    assert [(each.test_set, each.subset, each.problems, each.answers, each.passed) for each in details.families] == [
        *[("seen", "sorting", 1, 3, 2), ("seen", "strings", 1, 3, 0), ("unseen", "sorting", 1, 3, 1)],
    ]
    assert set(found[1].details()["by_sampling_seed"]["0"]) >= {"pass_at_1"}
    assert "pass_at_3" not in found[1].details()["by_sampling_seed"]["0"]
    assert found[1].signatures["sandbox"].startswith("measures:")

    write_jsonl(tmp_path / "scores.jsonl", score_rows(found))
    assert {row["outcome"] for row in read_jsonl(tmp_path / "scores.jsonl")} == {"failed", "passed", "SyntaxError"}
    again = score.measured(TASK, SETS, tmp_path)
    assert list(again[1].metrics) == list(found[1].metrics)
    for name, metric in found[1].metrics.items():
        np.testing.assert_array_equal(again[1].metrics[name].statistics, metric.statistics)
    summaries = summarise([again[1]], StatisticsConfig(resamples=200))
    assert summaries["pass_at_1"].sampling_sd is not None and summaries["pass_at_3"].sampling_sd is None


def test_answers_without_tests_are_refused(tmp_path):
    run = write_run(tmp_path)
    (run / "tests.jsonl").write_text(json.dumps({"id": "a", **ADDED}) + "\n")
    with pytest.raises(UserError, match=r"tests.jsonl has no tests for 'b': predict again"):
        scored(tmp_path)
    (run / "tests.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(UserError, match=r"tests.jsonl, line 1: a problem lacks entry_point"):
        scored(tmp_path)
    (run / "tests.jsonl").write_text("")
    with pytest.raises(UserError, match="holds no tests"):
        scored(tmp_path)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"student": "other"}, "student"),
        ({"teacher": "other"}, "teacher"),
        ({"checkpoints": {"mine": {"path": "some/model"}}}, "checkpoints.mine"),
    ],
)
def test_a_run_asks_for_leave_before_its_first_job(changes, place):
    config = smoke()
    config["models"]["other"] = {"kind": "causal", "source": "hub", "repo": "some/model", "revision": "0" * 40}
    config["studies"]["codegen"] |= changes
    [problem] = judging_problems(config)
    assert problem.startswith(f"studies.codegen.answers.allow_code_execution: the code that `{place}` writes")
    config["studies"]["codegen"]["answers"]["allow_code_execution"] = True
    assert judging_problems(config) == []


def judging_problems(config):
    """What a run that judges the code of the study would be stopped for."""
    found = problems(Plan(check(config), ROOT), Needs(judged=["codegen"]))
    return [each for each in found if "allow_code_execution" in each]


def test_rows_of_gold_answers_do_not_depend_on_the_sandbox():
    config = smoke()
    config["studies"]["codegen"]["methods"] = ["sft", "kd", "dpo"]
    plan = Plan(check(config), ROOT)
    files = ("sft", "teacher", "kd", "dpo")
    told = {name: json.loads(plan.training_file_settings("codegen", name))["answers"] for name in files}
    assert told["sft"] == told["teacher"] == {} and set(told["kd"]) == {"execution", "teacher_code"}
    assert told["kd"] == told["dpo"]
