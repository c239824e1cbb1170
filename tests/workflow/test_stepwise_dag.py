"""What is planned for distilling step-by-step, and what is refused."""

import json

import pytest
import yaml

from pipestill.errors import UserError
from pipestill.plan.check import check
from pipestill.plan.plan import Plan
from support.workflow import ROOT, jobs, plan

STUDY = {"task": "multiclinsum", "student": "demo-student", "methods": ["sft", "stepwise"], "seeds": [1]}
ANNOTATION = {
    "provider": "local",
    "model": "demo-teacher",
    "steps": [{"prompt": "Extract: {document}", "out": "rationale"}],
}
ASKS_FEATURES = ANNOTATION | {"steps": [{"prompt": "Extract: {features}", "out": "rationale"}]}
SPLITS = {"test_frac": 0.19, "val_frac": 0.05, "teacher_share": 0.5}
TASK = {"data": {"rows": 200, "splits": SPLITS, "crop": {"rationale": 512}}}


def overlay(annotation=ANNOTATION, task="multiclinsum"):
    tasks = {"multiclinsum": TASK}
    tasks[task] = {**tasks.get(task, {}), "annotation": annotation}
    return {"tasks": tasks, "studies": {"clinical": {**STUDY, "task": task}}}


def checked(change):
    """The plan of the default with a change."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for section, entries in change.items():
        for name, entry in entries.items():
            config[section][name] = {**config[section].get(name, {}), **entry}
    return Plan(check(config), ROOT)


def test_rationales_are_annotated_for_stepwise_and_for_nothing_else(tmp_path):
    path = tmp_path / "overlay.yaml"
    path.write_text(yaml.safe_dump(overlay()))
    sft = {
        "base_model": 1,
        "prompts": 1,
        "download": 1,
        "evaluate": 1,
        "predict": 1,
        "records": 1,
        "train": 1,
        "training_file": 1,
    }
    assert jobs(plan(tmp_path, "results/clinical_sft/eval.json", extra=[path])) == sft
    annotated = sft | {"base_model": 2, "annotator_data": 1, "train_annotator": 1, "annotate": 1}
    assert jobs(plan(tmp_path, "results/clinical_stepwise/eval.json", extra=[path])) == annotated


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (overlay(annotation=None), r"say in `tasks.multiclinsum.annotation` who writes them"),
        (overlay(annotation=ANNOTATION | {"splits": ["train"]}), r"rationales of both `train` and `validation`"),
        (overlay(ASKS_FEATURES, task="creditmix"), r"`stepwise` learns from rationales, and `creditmix` has none"),
    ],
)
def test_a_study_without_rationales_is_refused(change, sentence):
    with pytest.raises(UserError, match=sentence):
        checked(change)


def test_numbers_of_stepwise_alone_depend_on_the_annotation():
    before = checked(overlay())
    other = checked(overlay(ANNOTATION | {"steps": [{"prompt": "Explain: {document}", "out": "rationale"}]}))
    faster = checked(overlay(ANNOTATION | {"concurrency": 9, "max_requests": 10_000}))

    def digest(plan, method):
        return plan.experiment("clinical", method).config_sha256

    assert digest(before, "stepwise") != digest(other, "stepwise")
    assert digest(before, "stepwise") == digest(faster, "stepwise")
    assert digest(before, "sft") == digest(other, "sft")


def single(study=None, crop=None, annotation=None, stepwise=None):
    """A study that trains the single-task variant."""
    change = overlay(ANNOTATION | (annotation or {}))
    if crop is not None:
        change["tasks"]["multiclinsum"]["data"] = TASK["data"] | {"crop": crop}
    override = {"stepwise": {"stepwise": {"mode": "single_task", **(stepwise or {})}}}
    change["studies"]["clinical"] |= {"training": {"max_length": 2048}, "overrides": override, **(study or {})}
    return change


def test_the_single_task_variant_is_told_what_it_uses_and_answers_get_room_for_rationales():
    plan = checked(single())
    told = json.loads(plan.training_settings("clinical", "stepwise"))
    assert told["options"] == {"mode": "single_task"}
    # "\n### Answer\n" has 12 bytes, so 12 tokens at most
    room = min(2 * 512, 512) + 12  # of an answer that was asked for again with twice its 512 tokens; of `crop`
    asked, plain = plan.asking("clinical", "stepwise"), plan.asking("clinical", "sft")
    assert (told["rationale_tokens"], asked.rationale_tokens, plain.rationale_tokens) == (room, room, 0)
    assert asked.max_new_tokens == plain.max_new_tokens + room == 96 + room
    assert asked.max_prompt_tokens == 2048 - 96 - room
    assert json.loads(plan.prediction_settings("clinical", "stepwise"))["asking"] == asked.model_dump(mode="json")
    assert any("single-task" in note for note in plan.notes("clinical", "stepwise"))
    both = checked(overlay())
    told = json.loads(both.training_settings("clinical", "stepwise"))
    assert told["options"] == {"mode": "multi_task", "alpha": 0.5, "one_pass": True}
    assert told["rationale_tokens"] == 0 and not both.notes("clinical", "stepwise")


@pytest.mark.parametrize(
    ("change", "tokens"),
    [
        ({"crop": {}}, 2 * 512),
        ({"crop": {}, "annotation": {"on_truncation": "accept"}}, 512),
        ({"crop": {"rationale": 70}, "annotation": {"on_truncation": "accept"}}, 70),
        ({"annotation": {"steps": [{**ANNOTATION["steps"][0], "max_tokens": 30}], "on_truncation": "reject"}}, 30),
    ],
)
def test_a_rationale_is_as_long_as_annotation_and_cropping_let_it_be(change, tokens):
    assert checked(single(**change)).rationale_tokens("clinical", "stepwise") == tokens + 12


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (single(stepwise={"alpha": 0.8}), r"overrides.stepwise.stepwise: `alpha` has no use here; remove it"),
        (single(stepwise={"one_pass": True}), r"overrides.stepwise.stepwise: `one_pass` has no use here; remove it"),
        (single({"training": {"max_length": 620}}), r"may take 620 tokens, which leaves no room for a prompt"),
        (single(stepwise={"mode": "both"}), r"'multi_task' or 'single_task'"),
    ],
)
def test_what_the_single_task_variant_cannot_use_is_refused(change, sentence):
    with pytest.raises(UserError, match=sentence):
        checked(change)


def test_what_rationales_cost_reaches_the_evaluation(tmp_path):
    endpoint = {key: value for key, value in ANNOTATION.items() if key != "model"}
    endpoint |= {"provider": "endpoint", "base_url": "http://127.0.0.1:9/v1", "model": "writer"}
    path = tmp_path / "overlay.yaml"
    for annotation, trained in ((ANNOTATION, True), (endpoint, False)):
        path.write_text(yaml.safe_dump(overlay(annotation)))
        planned = plan(tmp_path, "results/clinical_stepwise/eval.json", "-p", extra=[path])
        evaluation = planned.stdout[planned.stdout.index("workflow_scripts/evaluate.py") :]
        assert "--usage results/data/multiclinsum/usage.json" in evaluation
        assert ("--annotator-cost results/annotators/multiclinsum/cost.json" in evaluation) == trained
    planned = plan(tmp_path, "results/clinical_sft/eval.json", "-p", extra=[path])
    assert "--usage" not in planned.stdout
