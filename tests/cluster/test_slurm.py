"""The workflow through profiles/slurm, on a real Slurm: what it asks for, and what ends a job before its time."""

import json
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from support.slurm import said, until
from support.workflow import ROOT

RUN = "results/creditmix_sft/seed_1"
TRAINING = {"max_steps": 24, "saves": 24}  # long enough to be caught at work
RESULTS = ("model/adapter_model.safetensors", "model/history.jsonl")


@pytest.fixture(scope="session")
def finished(submit, tmp_path_factory):
    """A finished experiment of the smoke preset, as the profile submits it, and its jobs."""
    directory = tmp_path_factory.mktemp("finished")
    run = submit(directory, "results/creditmix_sft/eval.json")
    return directory, run.finish()


@pytest.fixture
def prepared(finished, tmp_path):
    """A directory with all that trainings of the experiment read."""
    return shutil.copytree(finished[0], tmp_path / "prepared", ignore=shutil.ignore_patterns("creditmix_sft"))


@pytest.fixture(scope="session")
def whole(finished, tmp_path_factory):
    """A run of ``TRAINING`` without Slurm and without an interruption."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    shutil.copytree(finished[0], directory, ignore=shutil.ignore_patterns("creditmix_sft"))
    (directory / "my.yaml").write_text(json.dumps({"training": TRAINING}))
    files = [ROOT / "config.yaml", ROOT / "resources" / "presets" / "smoke.yaml", "my.yaml"]
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores", "1"]
    command += [f"{RUN}/model", "--configfile", *files]
    subprocess.run(list(map(str, command)), cwd=directory, check=True, capture_output=True)
    return directory


def training_of(directory):
    """The process that trains in a directory, once it has saved its state."""
    if not list((directory / RUN / "model.state" / "checkpoints").glob("*/SHA256SUMS")):
        return None
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(directory) and "workflow_scripts/train.py" in " ".join(process.cmdline()[:2]):
                return process
        except psutil.Error:
            continue
    return None


def at_work(job):
    """Processes by which Slurm watches over a job on this machine."""
    return [
        each
        for each in psutil.process_iter(["cmdline"])
        if f"slurmstepd: [{job}." in " ".join(each.info["cmdline"] or [])
    ]


def check_same(directory, whole):
    for name in RESULTS:
        assert (directory / RUN / name).read_bytes() == (whole / RUN / name).read_bytes(), name


def test_the_smoke_preset_gets_what_its_rules_and_the_profile_ask_for(finished):
    directory, jobs = finished
    evaluation = json.loads((directory / "results" / "creditmix_sft" / "eval.json").read_text())
    assert len(evaluation["seeds"]) == 2 and evaluation["n_test"] == 30
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    keys = ("Partition", "MinMemoryNode", "TimeLimit", "CPUs/Task")
    asked = {job["Comment"].split("_wildcards")[0]: tuple(job[key] for key in keys) for job in jobs}
    assert asked["rule_train"] == ("gpu", "24000M", "08:00:00", "1")
    assert asked["rule_evaluate"] == ("cpu", "1000M", "00:30:00", "1")


def test_a_job_beyond_its_time_limit_resumes_to_the_same_bytes(own_cluster, prepared, submit, whole):
    run = submit(prepared, f"{RUN}/model", training=TRAINING)
    process = until(lambda: training_of(prepared), "the training has saved its state")
    process.send_signal(signal.SIGSTOP)  # or else it would be done before the shortest limit, of a minute
    (job,) = run.jobs("train")
    said("scontrol", "update", f"JobId={job['JobId']}", "TimeLimit=1")
    jobs = run.finish()
    assert [job["JobState"] for job in jobs] == ["TIMEOUT", "COMPLETED"]
    assert "SLURM status is: 'TIMEOUT'" in run.said()
    assert "resuming at step" in (prepared / "logs" / "train" / "creditmix_sft_1.log").read_text()
    check_same(prepared, whole)


def test_a_job_whose_node_fails_is_queued_again_and_resumes(own_cluster, prepared, submit, whole):
    """With one node, the job waits until that is up again; all that was left on it has ended then."""
    run = submit(prepared, f"{RUN}/model", training=TRAINING)
    process = until(lambda: training_of(prepared), "the training has saved its state")
    process.send_signal(signal.SIGSTOP)
    (job,) = run.jobs("train")
    said("scontrol", "update", "NodeName=localhost", "State=DOWN", "Reason=test")
    try:
        until(lambda: run.jobs("train")[0]["JobState"] == "PENDING", "the job waits again")
        assert run.process.poll() is None
        until(lambda: not at_work(job["JobId"]), "nothing of the job is left")
    finally:
        said("scontrol", "update", "NodeName=localhost", "State=RESUME")
    first, *others = run.finish()
    assert (first["JobId"], first["Restarts"]) == (job["JobId"], "1")
    assert not others and first["JobState"] == "COMPLETED"
    assert "resuming at step" in (prepared / "logs" / "train" / "creditmix_sft_1.log").read_text()
    check_same(prepared, whole)


def test_gpus_are_counted(own_cluster, prepared, submit):
    """The cluster has one GPU, which is none, and room for both trainings, which then run on a processor."""
    targets = [f"results/creditmix_sft/seed_{seed}/model" for seed in (1, 2)]
    one, other = submit(prepared, *targets, hardware={"device": "cuda"}).finish()
    assert one["JobState"] == other["JobState"] == "COMPLETED"
    assert one["TresPerJob"] == other["TresPerJob"] == "gres:gpu:1"
    assert other["StartTime"] >= one["EndTime"]


def test_several_devices_share_one_job(prepared, submit):
    run = submit(prepared, f"{RUN}/model", hardware={"devices": 2})
    (job,) = run.finish()
    assert (job["JobState"], job["CPUs/Task"], job["NumNodes"]) == ("COMPLETED", "2", "1")
    assert "2 processes share each batch" in (prepared / RUN / "model" / "hardware.json").read_text()
