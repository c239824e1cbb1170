"""SIGKILL of training, of prediction and of Snakemake itself: the same command finishes with the same results."""

import json
import signal
import subprocess
import time

import psutil

from support.kills import SAME, compared, is_same
from support.smoke import command, snakemake

TARGETS = tuple(f"results/{name}/eval.json" for name in ("creditmix_kd", "dolly_fkl"))


def kill_when_running(directory, script, target):
    """Start the workflow; when a job of ``script`` runs, kill ``target`` ("job" or "workflow") with SIGKILL."""
    with open(directory / "killed.log", "a") as log:
        process = subprocess.Popen(command(directory, *TARGETS), cwd=directory, stdout=log, stderr=log)
        workflow = psutil.Process(process.pid)
        while process.poll() is None:
            for child in workflow.children(recursive=True):
                try:
                    arguments = child.cmdline()
                except psutil.Error:
                    continue
                if arguments[1:2] and arguments[1].endswith(f"{script}.py"):
                    time.sleep(1.5)  # into its work, or its imports
                    (child if target == "job" else workflow).send_signal(signal.SIGKILL)
                    assert process.wait(timeout=300) != 0
                    return
            time.sleep(0.05)
    raise AssertionError(f"no job of {script} was seen:\n{(directory / 'killed.log').read_text()}")


def test_killed_runs_finish_with_the_same_results(run, tmp_path):
    kill_when_running(tmp_path, "train", "job")
    kill_when_running(tmp_path, "train", "workflow")
    kill_when_running(tmp_path, "predict", "job")
    kill_when_running(tmp_path, "predict", "workflow")
    snakemake(tmp_path, *TARGETS)
    for pattern in SAME:
        made = compared(tmp_path, pattern)
        assert made, pattern
        for path in made:
            assert is_same(run, tmp_path, path), path
    for path in TARGETS:
        assert json.loads((tmp_path / path).read_text())["metrics"] == json.loads((run / path).read_text())["metrics"]
    assert "Nothing to be done" in snakemake(tmp_path, *TARGETS)
