"""What is planned for annotation, by provider."""

import json

import pytest
import yaml
from test_dag import ROOT, jobs, plan

from pipestill.config import check
from pipestill.errors import UserError

RATIONALES = "results/data/creditmix/rationales.jsonl"
COMMON = {"download": 1, "records": 1, "crop": 1, "annotate": 1}


def overlay(directory, **annotation):
    settings = {"model": "demo-teacher", "steps": [{"prompt": "Explain: {text}", "out": "rationale"}]} | annotation
    path = directory / "overlay.yaml"
    path.write_text(json.dumps({"run": ["creditmix"], "tasks": {"creditmix": {"annotation": settings}}}))
    return [path]


def test_a_local_annotator_is_trained_and_served(tmp_path):
    planned = jobs(plan(tmp_path, RATIONALES, extra=overlay(tmp_path, provider="local")))
    assert planned == COMMON | {"base_model": 1, "annotator_data": 1, "train_annotator": 1}


def test_a_key_is_asked_for_only_where_it_is_needed(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    process = plan(tmp_path, RATIONALES, extra=overlay(tmp_path, provider="openrouter"))
    assert process.returncode == 1
    assert "\nOPENROUTER_API_KEY\n" in process.stdout + process.stderr
    assert jobs(plan(tmp_path, RATIONALES, extra=overlay(tmp_path, provider="openrouter", replay=True))) == COMMON


@pytest.mark.parametrize(
    ("annotation", "sentence"),
    [
        ({"provider": "local", "model": "gone"}, r"tasks.creditmix.annotation.model: `gone` is not defined in models"),
        ({"provider": "openrouter", "model": "m", "max_cost": 1}, r"annotation: `max_cost` needs `price`"),
    ],
)
def test_contradictions_name_the_key(annotation, sentence):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["tasks"]["creditmix"]["annotation"] = annotation | {"steps": [{"prompt": "{text}", "out": "rationale"}]}
    with pytest.raises(UserError, match=sentence):
        check(config)
