"""What Snakemake records of a job: every setting, nothing else, and no place of the project."""

import inspect
import string
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipestill.io.files import SHA256SUMS, write_text
from pipestill.layouts import documents
from pipestill.methods import METHODS
from pipestill.plan import paths
from pipestill.plan.check import check
from pipestill.plan.plan import Plan
from pipestill.plan.start import ASKING
from support.configurations import of_addresses, of_files, smoke
from support.rules import read_rules
from support.workflow import ROOT

OF_FILES = {"input", "output", "threads", "resources"}  # arguments of functions that Snakemake does not record
PACE = {  # settings that are not recorded, by rule
    "annotate": {"pace"},
    **{rule: {"saves", "python", "strategy"} for rule in ("train", "train_teacher", "train_annotator", "compress")},
    **{rule: {"devices"} for rule in ASKING},
}


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    with read_rules(tmp_path_factory.mktemp("here"), smoke()) as read:
        yield read


def parameters(rules):
    """All parameters, each with its rule and its name."""
    return [(rule.name, name, value) for rule in rules.workflow.rules for name, value in rule.params.items()]


def of_files_of_a_job(function):
    return callable(function) and bool(OF_FILES & set(inspect.signature(function).parameters))


def holds_a_plan(function):
    """True if a function can ask a plan, or anything but texts, for what it returns."""
    held = inspect.getclosurevars(function).nonlocals.values()
    return hasattr(function, "__self__") or not all(isinstance(value, str | tuple | None) for value in held)


def test_parameters_that_are_not_recorded_are_made_of_names_and_files_alone(rules):
    unrecorded: dict[str, set[str]] = {}
    for rule, name, value in parameters(rules):
        if of_files_of_a_job(value):
            assert value.__module__ == paths.__name__, f"{rule}: `{name}` is a function of files; make it in paths.py"
            if holds_a_plan(value):
                unrecorded.setdefault(rule, set()).add(name)
    assert unrecorded == PACE


def test_a_parameter_that_asks_a_plan_for_a_path_is_found():
    plan = Plan(check(smoke()), ROOT)
    assert holds_a_plan(paths.unrecorded(plan.prompt))
    assert holds_a_plan(lambda wildcards, input: plan.config.threads)
    assert not holds_a_plan(paths.options("models"))


def test_settings_that_are_not_recorded_are_those_that_no_result_depends_on():
    plan = Plan(check(smoke()), ROOT)
    annotation = plan.config.tasks["multiclinsum"].annotation
    told = [plan.annotation_settings("multiclinsum"), plan.annotation_pace("multiclinsum")]
    recorded, pace = ({key for key in type(annotation).model_fields if f'"{key}":' in text} for text in told)
    assert pace == annotation.without_effect()
    assert {"training"} == set(type(annotation).model_fields) - recorded - pace
    training = plan.training("creditmix", "sft").training
    assert training.without_effect() == {"saves"} and "saves" not in training.used()


def test_every_placeholder_of_a_command_is_quoted(rules):
    for rule in rules.workflow.rules:
        for _, field, form, _ in string.Formatter().parse(rule.shellcmd or ""):
            assert field is None or form == "q", f"{rule.name}: {{{field}}} is not quoted; write {{{field}:q}}"


def test_where_the_working_directory_lies_is_recorded_nowhere(rules, tmp_path):
    config = check(smoke())
    here = rules.jobs(config, ["all"])
    deeper = tmp_path / "a" / "b" / "c d"
    deeper.mkdir(parents=True)
    with read_rules(deeper, smoke()) as read:
        assert read.jobs(config, ["all"]) == here
        assert Path(paths.script("train")(None, None)).is_file()


def test_a_changed_directory_of_a_model_is_noticed(tmp_path):
    config, own = smoke(), tmp_path / "my-model"
    config["models"]["demo-student"]["path"] = str(own)
    plan, asked = Plan(check(config), ROOT), SimpleNamespace(model="demo-student")
    found = [plan.model_identity(asked)]
    for name, text in (("model.safetensors", "a"), ("config.json", "{}"), ("config.json", "{ }"), (SHA256SUMS, "")):
        write_text(own / name, text)
        found.append(plan.model_identity(asked))
        assert plan.model_identity(asked) == found[-1]
    write_text(own / "config.json", "[]")  # the list, which is checked, did not change
    assert found[0] is None and len(set(found)) == 5 and plan.model_identity(asked) == found[-1]


def test_who_is_student_and_who_is_teacher_is_recorded(tmp_path):
    config = of_files()
    study = config["studies"]["dolly"]
    with read_rules(tmp_path, config) as read:
        before = read.jobs(check(config), ["all"])
        study["student"], study["teacher"] = study["teacher"], study["student"]
        after = read.jobs(check(config), ["all"])
    for job in (
        ("train", (("method", "uld"), ("part", ""), ("seed", "1"), ("study", "dolly"))),
        ("teacher_distributions_shard", (("shard", "0"), ("store", "distributions"), ("study", "dolly"))),
    ):
        assert before[job].inputs == after[job].inputs and before[job].params != after[job].params


def test_facts_about_published_data_are_recorded(tmp_path, monkeypatch):
    config = of_addresses()
    target = ["results/data/multiclinsum/cropped.jsonl"]
    with read_rules(tmp_path, config) as read:
        before = read.jobs(check(config), target)
        known = documents.published_datasets()
        changed = {name: facts | {"sha256": "2" * 64} for name, facts in known.items()}
        monkeypatch.setattr(documents, "published_datasets", lambda: changed)
        assert read.anew(before, read.jobs(check(config), target))[1] == {("download", (("task", "multiclinsum"),))}


def test_another_method_leaves_the_training_file_of_the_first_as_it_is():
    config = smoke()
    config["studies"]["dolly"] |= {"methods": ["fkl"], "overrides": {}, "compress": {}}
    alone = Plan(check(config), ROOT).training_file_settings("dolly", "sft")
    config["studies"]["dolly"]["methods"] = [name for name in METHODS if name in ("sft", "fkl", "rkl")]
    assert Plan(check(config), ROOT).training_file_settings("dolly", "sft") == alone
