"""What is planned for distilling step-by-step, and what is refused."""

import pytest
import yaml
from test_dag import ROOT, jobs, plan

from pipestill import experiments
from pipestill.config import check
from pipestill.errors import UserError

STUDY = {"task": "multiclinsum", "student": "demo-student", "methods": ["sft", "stepwise"], "seeds": [1]}
ANNOTATION = {
    "provider": "local",
    "model": "demo-teacher",
    "steps": [{"prompt": "Extract: {text}", "out": "rationale"}],
}
TASK = {"rows": 200, "splits": {"test_frac": 0.19, "val_frac": 0.05, "teacher_share": 0.5}, "crop": {"rationale": 512}}


def overlay(annotation=ANNOTATION, task="multiclinsum"):
    tasks = {"multiclinsum": TASK}
    tasks[task] = {**tasks.get(task, {}), "annotation": annotation}
    return {"tasks": tasks, "studies": {"clinical": {**STUDY, "task": task}}}


def checked(change):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for section, entries in change.items():
        for name, entry in entries.items():
            config[section][name] = {**config[section].get(name, {}), **entry}
    return check(config)


def test_rationales_are_annotated_for_stepwise_and_for_nothing_else(tmp_path):
    path = tmp_path / "overlay.yaml"
    path.write_text(yaml.safe_dump(overlay()))
    sft = {
        "balance": 1,
        "base_model": 1,
        "crop": 1,
        "download": 1,
        "evaluate": 1,
        "predict": 1,
        "records": 1,
        "train": 1,
    }
    assert jobs(plan(tmp_path, "results/clinical_sft/eval.json", extra=[path])) == sft
    annotated = sft | {"base_model": 2, "annotator_data": 1, "train_annotator": 1, "annotate": 1}
    assert jobs(plan(tmp_path, "results/clinical_stepwise/eval.json", extra=[path])) == annotated


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (overlay(annotation=None), r"say in `tasks.multiclinsum.annotation` who writes them"),
        (overlay(annotation=ANNOTATION | {"splits": ["train"]}), r"rationales of both `train` and `validation`"),
        (overlay(task="creditmix"), r"`stepwise` learns from rationales, and `creditmix` has none"),
    ],
)
def test_a_study_without_rationales_is_refused(change, sentence):
    with pytest.raises(UserError, match=sentence):
        checked(change)


def test_numbers_of_stepwise_alone_depend_on_the_annotation():
    before = checked(overlay())
    other = checked(overlay(ANNOTATION | {"steps": [{"prompt": "Explain: {text}", "out": "rationale"}]}))
    faster = checked(overlay(ANNOTATION | {"concurrency": 9, "max_requests": 10_000}))

    def digest(config, method):
        return experiments.experiment(config, "clinical", method)["config_sha256"]

    assert digest(before, "stepwise") != digest(other, "stepwise")
    assert digest(before, "stepwise") == digest(faster, "stepwise")
    assert digest(before, "sft") == digest(other, "sft")


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
