"""Annotation as the workflow runs it, against a server on this machine: what needs a key, and what is paid for."""

import json
import subprocess
import sys

import pytest

from pipestill.io.files import read_json
from pipestill.io.records import read_jsonl
from support.annotation import KEY, serve
from support.workflow import ROOT

RATIONALES = "results/data/creditmix/rationales.jsonl"
ESTIMATE = "results/data/creditmix/annotation_estimate.json"
TASK = {"data": {"rows": 400, "splits": {"test_rows": 15, "val_rows": 12}}}
ANNOTATION = {
    "model": "some/model",
    "steps": [{"prompt": "Explain: {features}", "out": "rationale", "max_tokens": 50}],
    "splits": ["validation"],
    "price": {"input": 1.0, "output": 10.0},
    "max_cost": 1.0,
}


def overlay(directory, **annotation):
    path = directory / "overlay.yaml"
    task = {"creditmix": {**TASK, "annotation": ANNOTATION | annotation}}
    path.write_text(json.dumps({"run": ["creditmix"], "tasks": task}))


def snakemake(directory, *arguments):
    """Run the default with the overlay in ``directory``."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", directory]
    command += ["--cores", "1", *arguments, "--configfile", ROOT / "config.yaml", directory / "overlay.yaml"]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=directory)


@pytest.mark.parametrize(
    ("variable", "annotation"),
    [
        ("OPENROUTER_API_KEY", {"provider": "openrouter"}),
        ("SOME_KEY", {"provider": "endpoint", "base_url": "https://api.example.org/v1", "key_variable": "SOME_KEY"}),
    ],
)
def test_only_a_run_that_asks_for_rationales_needs_the_key(tmp_path, monkeypatch, variable, annotation):
    monkeypatch.delenv(variable, raising=False)
    overlay(tmp_path, **annotation)
    process = snakemake(tmp_path, RATIONALES)
    assert process.returncode == 1
    sentence = f"tasks.creditmix.annotation: the environment variable {variable} is not set; put the key there"
    assert sentence in process.stderr
    assert not (tmp_path / "results").exists(), "no job was started"
    process = snakemake(tmp_path, ESTIMATE)
    assert process.returncode == 0, process.stdout + process.stderr
    estimate = read_json(tmp_path / ESTIMATE)
    assert (estimate["records"], estimate["requests"], estimate["output_tokens"]) == (12, 12, 12 * 50)
    assert estimate["dollars"] > 0


def test_nothing_is_paid_twice_and_the_key_is_written_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", KEY)
    with serve() as server:
        overlay(tmp_path, provider="endpoint", base_url=server.url, key_variable="SOME_KEY")
        process = snakemake(tmp_path, RATIONALES)
        assert process.returncode == 0, process.stdout + process.stderr
        rows, paid = read_jsonl(tmp_path / RATIONALES), contents(tmp_path / "annotations" / "creditmix")
        assert len(rows) == len(server.bodies) == 12
        assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
        again = snakemake(tmp_path, "--forceall", RATIONALES)
        assert again.returncode == 0, again.stdout + again.stderr
    assert "rule annotate:" in again.stdout + again.stderr
    assert len(server.bodies) == 12
    assert contents(tmp_path / "annotations" / "creditmix") == paid
    assert read_jsonl(tmp_path / RATIONALES) == rows
    assert not [path for path, content in contents(tmp_path).items() if KEY.encode() in content]
    assert KEY not in process.stdout + process.stderr + again.stdout + again.stderr


def contents(directory):
    """Every file below ``directory`` by its path."""
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
