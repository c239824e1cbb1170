"""The workflow through profiles/slurm, on a real Slurm: what it asks for, and what ends a job before its time."""

import json
import shutil
import signal
import subprocess
import sys

import psutil
import pytest
from safetensors.numpy import load_file

from support.slurm import said, until
from support.workflow import ROOT

RUN = "results/creditmix_sft/seed_1"
TRAINING = {"max_steps": 24, "saves": 24, "lora": {"dropout": 0}}  # long enough to be caught at work
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


def check_same(directory, whole):
    for name in RESULTS:
        assert (directory / RUN / name).read_bytes() == (whole / RUN / name).read_bytes(), name


def check_shared(directory, whole):
    """Two processes have shared a training, and made what one makes."""
    assert "2 processes share each batch" in (directory / RUN / "model" / "hardware.json").read_text()
    weights, expected = (load_file(place / RUN / RESULTS[0]) for place in (directory, whole))
    assert weights.keys() == expected.keys()
    for name, tensor in weights.items():
        assert abs(tensor - expected[name]).max() < 1e-5, name


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


def test_a_job_whose_node_fails_is_queued_again_and_resumes_on_another(own_cluster, prepared, submit, whole):
    run = submit(prepared, f"{RUN}/model", training=TRAINING)
    process = until(lambda: training_of(prepared), "the training has saved its state")
    process.send_signal(signal.SIGSTOP)
    (job,) = run.jobs("train")
    own_cluster.fail(job["NodeList"])
    try:
        (last,) = run.finish()
    finally:
        own_cluster.mend(job["NodeList"])
    assert (last["JobId"], last["Restarts"], last["JobState"]) == (job["JobId"], "1", "COMPLETED")
    assert last["NodeList"] != job["NodeList"]
    assert "resuming at step" in (prepared / "logs" / "train" / "creditmix_sft_1.log").read_text()
    check_same(prepared, whole)


def test_two_devices_share_a_training_in_one_job(own_cluster, prepared, submit, whole):
    """The GPUs are none, so processes of a CPU take their places."""
    hardware = {"device": "cuda", "devices": 2}
    (job,) = submit(prepared, f"{RUN}/model", training=TRAINING, hardware=hardware).finish()
    assert (job["JobState"], job["TresPerJob"]) == ("COMPLETED", "gres:gpu:2")
    assert (job["NumNodes"], job["CPUs/Task"], job["MinMemoryNode"]) == ("1", "2", "24000M")
    check_shared(prepared, whole)


def test_two_machines_share_a_training_and_trainings_take_turns(own_cluster, prepared, submit, whole):
    """One of the machines has a single GPU."""
    targets = [f"results/creditmix_sft/seed_{seed}/model" for seed in (1, 2)]
    hardware = {"device": "cuda", "nodes": 2}
    one, other = submit(prepared, *targets, training=TRAINING, hardware=hardware).finish()
    for job in (one, other):
        assert (job["JobState"], job["NumNodes"], job["TresPerNode"]) == ("COMPLETED", "2", "gres:gpu:1")
    assert other["StartTime"] >= one["EndTime"]
    check_shared(prepared, whole)
