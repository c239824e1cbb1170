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

    def make(name, method, adaptation, processes, kind=Job, **training):
        more = {}
        if method == "todi":
            more = {"options": {"teacher": "cached", "temperature": 2.0}}
        if method == "stepwise":
            more = {"options": {"one_pass": False}}
        made = kind(tmp_path / name, tiny_model_dir, data, method, adaptation, more, **(EXACT | training))
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


class Launched(Job):
    """A job as its rule starts it with two devices: by torchrun."""

    def start(self):
        config = smoke()
        config["hardware"] = {"devices": 2}
        python, *launcher = Plan(check(config), ROOT).python(SimpleNamespace(study="creditmix"))
        assert python == "python"
        command = [sys.executable, *launcher, ROOT / "workflow_scripts" / f"{self.script}.py", *self.command]
        return Torchrun(command, self.output.with_name("log"))


class Torchrun(subprocess.Popen):
    """torchrun at work; a signal goes to the second of its processes."""

    def __init__(self, command, log):
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        with open(log, "w") as file:
            super().__init__(list(map(str, command)), stderr=file, env=os.environ | {"PYTHONPATH": str(ROOT)})

    def send_signal(self, number):
        psutil.Process(self.pid).children()[1].send_signal(number)

    def said(self):
        return self.log.read_text()


def test_the_end_of_one_process_ends_the_job_and_the_next_call_resumes(job):
    whole, broken = job("whole", "sft", "lora", 2), job("broken", "sft", "lora", 2, Launched)
    whole.finish()
    assert broken.interrupt(4, 0, signal.SIGKILL) == 1
    assert not broken.output.exists()
    assert "resuming at step" in broken.finish()
    assert broken.digests() == whole.digests()
    assert "2 processes share each batch" in (broken.output / "hardware.json").read_text()


def test_a_mistake_is_one_line_of_each_process(job, data, tmp_path):
    wrong = job("wrong", "sft", "lora", 2)
    broken = tmp_path / "rows.jsonl"
    broken.write_text('{"input": "a"}\n')
    wrong.command[wrong.command.index("--data") + 1] = broken
    process = wrong.start()
    assert process.wait() == 1
    assert set(process.said().splitlines()) == {f"error: {broken}, line 1: `output` is missing; the keys are input"}
