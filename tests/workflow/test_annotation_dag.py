"""What is planned for annotation, by provider."""

import json
import subprocess
import sys

import pytest
import yaml

from pipestill.errors import UserError
from pipestill.plan.check import check
from support.workflow import ROOT, jobs, plan

RATIONALES = "results/data/creditmix/rationales.jsonl"
COMMON = {"download": 1, "records": 1, "prompts": 1, "annotate": 1}


def overlay(directory, **annotation):
    settings = {"model": "demo-teacher", "steps": [{"prompt": "Explain: {features}", "out": "rationale"}]} | annotation
    path = directory / "overlay.yaml"
    path.write_text(json.dumps({"run": ["creditmix"], "tasks": {"creditmix": {"annotation": settings}}}))
    return [path]


def test_a_local_annotator_is_trained_and_served(tmp_path):
    planned = jobs(plan(tmp_path, RATIONALES, extra=overlay(tmp_path, provider="local")))
    assert planned == COMMON | {"base_model": 1, "annotator_data": 1, "train_annotator": 1}


def test_a_plan_needs_no_key(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    assert jobs(plan(tmp_path, RATIONALES, extra=overlay(tmp_path, provider="openrouter"))) == COMMON


@pytest.mark.parametrize("names", [[], ["OPENROUTER_API_KEY"]])
def test_a_key_that_is_set_is_passed_on_to_jobs(tmp_path, monkeypatch, names):
    """To those on other machines, whose environment is not this one."""
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    for name in names:
        monkeypatch.setenv(name, "a key of the provider")
    code = (
        "import sys; from snakemake.cli import main; from snakemake.workflow import Workflow\n"
        "Workflow.register_envvars = lambda self, *names: print('passed on:', list(names))\n"
        "main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "--snakefile", ROOT / "Snakefile", "--directory", tmp_path, "--cores", "1"]
    command += ["-n", RATIONALES, "--configfile", ROOT / "config.yaml", *overlay(tmp_path, provider="openrouter")]
    process = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=tmp_path)
    assert f"passed on: {names}" in process.stdout, process.stdout + process.stderr


@pytest.mark.parametrize(
    ("annotation", "sentence"),
    [
        ({"provider": "local", "model": "gone"}, r"tasks.creditmix.annotation.model: `gone` is not defined in models"),
        ({"provider": "openrouter", "model": "m", "max_cost": 1}, r"annotation: `max_cost` needs `price`"),
    ],
)
def test_contradictions_name_the_key(annotation, sentence):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["tasks"]["creditmix"]["annotation"] = annotation | {"steps": [{"prompt": "{features}", "out": "rationale"}]}
    with pytest.raises(UserError, match=sentence):
        check(config)
