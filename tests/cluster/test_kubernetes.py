"""The workflow through profiles/kubernetes and Snakemake's plugin, against a stand-in for the API."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.pods import Cluster
from support.workflow import ROOT

PROFILE = ROOT / "profiles" / "kubernetes"
TARGETS = ("results/data/creditmix/cropped.jsonl", "results/models/demo-student")


@pytest.fixture
def project(tmp_path):
    """A clone of the project as it is, from which Snakemake takes what it brings to jobs."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    directory = tmp_path / "project"
    for file in filter(None, files.split("\0")):
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, directory / file)
    subprocess.run(["git", "init", "--quiet"], cwd=directory, check=True)
    subprocess.run(["git", "add", "--all"], cwd=directory, check=True)
    return directory


@pytest.fixture
def pods(tmp_path, monkeypatch):
    """The stand-in. Jobs find what their image would have, and a ``pip`` that has nothing to do."""
    for name in ("snakemake_executor_plugin_kubernetes", "snakemake_storage_plugin_fs"):
        pytest.importorskip(name, reason=f"needs pip install -r profiles/kubernetes/requirements.txt: {name}")
    if not shutil.which("rsync"):
        pytest.skip("needs rsync, which files are copied by")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "pip").write_text("#!/bin/sh\n")
    (programs / "pip").chmod(0o755)
    work = tmp_path / "pods"
    work.mkdir()
    cluster = Cluster(work, f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("KUBECONFIG", str(cluster.start()))
    yield cluster
    cluster.stop()


def test_jobs_bring_what_they_need_and_leave_results_in_the_storage(pods, project, tmp_path):
    storage = tmp_path / "storage"
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/kubernetes"]
    command += ["--default-storage-prefix", storage, "--seconds-between-status-checks", "1", *TARGETS]
    command += ["--configfile", "config.yaml", "resources/presets/smoke.yaml"]
    done = subprocess.run(list(map(str, command)), cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    records = (storage / TARGETS[0]).read_text().splitlines()
    assert {json.loads(line)["split"] for line in records} == {"train", "validation", "test", "teacher"}
    assert (storage / TARGETS[1] / "model.safetensors").is_file()
    assert not (project / "results").exists()
    pod = pods.created[0]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"].startswith("registry.example.org/pipestill:")
    assert pod["volumes"][1]["persistentVolumeClaim"] == {"claimName": "pipestill"}
    for job in pods.created:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
