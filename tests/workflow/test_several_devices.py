"""Training jobs of several processes, against one process with the same batches."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest
from safetensors.torch import load_file

from pipestill.plan.check import check
from pipestill.plan.plan import Plan
from support.configurations import smoke
from support.distributions import capture
from support.models import make_directory
from support.training_scripts import Job, write_training_files
from support.workflow import ROOT

METHODS = [("sft", "full"), ("vanilla", "lora"), ("todi", "lora"), ("dpo", "lora"), ("stepwise", "full")]
EXACT = {"lora": {"dropout": 0}}  # every process draws its own


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_training_files(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def distributions(tmp_path_factory, tiny_model_dir, data):
    """The manifest of what another model says about all rows."""
    directory = tmp_path_factory.mktemp("teacher")
    files = [data / f"{split}_sft.jsonl" for split in ("train", "validation")]
    return capture(directory / "store", files, make_directory(directory / "model", 9), tiny_model_dir, max_length=256)


@pytest.fixture
def job(tmp_path, tiny_model_dir, data, distributions):
    """A function that gives the job of a method, with some processes."""

    def make(name, method, adaptation, processes, **training):
        more = {}
        if method == "todi":
            more = {"options": {"teacher": "cached", "temperature": 2.0}}
        if method == "stepwise":
            more = {"options": {"one_pass": False}}
        made = Job(tmp_path / name, tiny_model_dir, data, method, adaptation, more, **(EXACT | training))
        made.command += ["--distributions", distributions] if method == "todi" else []
        made.processes = processes
        return made

    return make


def weights(job):
    (path,) = [path for path in job.output.glob("*model.safetensors")]
    return load_file(path)


def check_same(job, other):
    assert len(job.history()) == len(other.history())
    for row, expected in zip(job.history(), other.history(), strict=True):
        assert row == pytest.approx(expected, rel=1e-5, abs=1e-6)
    expected = weights(other)
    for name, tensor in weights(job).items():
        assert float((tensor - expected[name]).abs().max()) < 1e-5, name


@pytest.mark.parametrize(("method", "adaptation"), METHODS)
def test_two_processes_make_what_one_makes(job, method, adaptation):
    """45 rows in batches of 4: one batch of each epoch has a row for only one of them."""
    one, two = (job(f"with {processes}", method, adaptation, processes) for processes in (1, 2))
    one.finish()
    two.finish()
    check_same(two, one)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 3)])
def test_a_killed_job_goes_on_with_another_number_of_processes(job, before, after):
    whole, broken = (job(name, "sft", "lora", 1) for name in ("whole", "broken"))
    whole.finish()
    broken.processes = before
    broken.interrupt(4, 0, signal.SIGKILL)
    assert not broken.output.exists()
    broken.processes = after
    assert "resuming at step" in broken.finish()
    check_same(broken, whole)


def test_all_processes_stop_at_one_step_and_go_on_to_the_same_bytes(job):
    """Dropout included: its draw depends on step and process alone."""
    whole, broken = (job(name, "sft", "lora", 2, lora={"dropout": 0.3}) for name in ("whole", "broken"))
    whole.finish()
    assert broken.interrupt(4, 0, signal.SIGTERM) == 143
    assert broken.steps()
    assert "resuming at step" in broken.finish()
    assert broken.digests() == whole.digests()


def launch(job, path):
    """Start a job as its rule does with two devices; the process, whose stderr goes to ``path``."""
    config = smoke()
    config["hardware"] = {"devices": 2}
    python, *launcher = Plan(check(config), ROOT).python(SimpleNamespace(study="creditmix"))
    command = [sys.executable, *launcher, ROOT / "workflow_scripts" / f"{job.script}.py", *job.command]
    assert python == "python"
    with open(path, "w") as file:
        return subprocess.Popen([*map(str, command)], stderr=file, env=os.environ | {"PYTHONPATH": str(ROOT)})


def test_the_end_of_one_process_ends_the_job_and_the_next_call_resumes(job, tmp_path):
    """Started by torchrun, with as many devices as the configuration says."""
    whole, broken, log = job("whole", "sft", "lora", 2), job("broken", "sft", "lora", 2), tmp_path / "log"
    whole.finish()
    process = launch(broken, log)
    while process.poll() is None and not broken.steps():
        psutil.wait_procs([psutil.Process()], timeout=0.01)
    psutil.Process(process.pid).children()[1].kill()
    assert process.wait(120) != 0
    assert not broken.output.exists()
    assert launch(broken, log).wait(300) == 0, log.read_text()
    assert "resuming at step" in log.read_text()
    assert broken.digests() == whole.digests()
    assert "2 processes share each batch" in (broken.output / "hardware.json").read_text()
