"""Training jobs of several processes, against one process with the same batches."""

import signal
from itertools import product
from types import SimpleNamespace

import psutil
import pytest
from safetensors.torch import load_file

from pipestill.plan.check import check
from pipestill.plan.plan import Plan
from pipestill.tasks import TASKS
from support.configurations import smoke
from support.distributions import capture
from support.models import make_directory, make_directory_of
from support.rounds import Run, write_models
from support.scripts import Script, script_of
from support.training_scripts import Called, Job, Scripts, finish_all, meeting, write_training_files
from support.workflow import ROOT

SHORT = {"epochs": 1}
STUDY = SimpleNamespace(study="creditmix")
PROMPT = TASKS["dolly"].prompts["answer"].model_dump()
ASKING = {"task": "dolly", "prompt": PROMPT, "max_prompt_tokens": 250, "max_new_tokens": 6, "answers": {}}
ONLINE = {"options": {"teacher": "online"}, "teacher_adaptation": "full"}
PRUNED = {"prune": {"kind": "magnitude", "amount": 0.5}, "quantize": None}
ANSWERING = {"select": "metric", "keep_best": 2, "selection_rows": 2, "gradient_checkpointing": True}
JOBS = {  # by name: method, adaptation, further arguments; each needs those before it
    "sft": ("sft", "lora", {}),
    "vanilla": ("vanilla", "biases", SHORT),
    "todi": ("todi", "lora", SHORT | {"more": {"options": {"teacher": "cached", "temperature": 2.0}}}),
    "dpo": ("dpo", "lora", SHORT),
    "stepwise": ("stepwise", "full", SHORT | {"more": {"options": {"one_pass": False}}}),
    "chosen": ("sft", "full", SHORT | ANSWERING | {"more": {"selection": ASKING}}),
    "taught": ("fkl", "full", SHORT | {"more": ONLINE}),
    "pruned": ("fkl", "full", SHORT | {"more": ONLINE, "compression": PRUNED}),
}
ROUNDS = {"share": 1.0, "rounds": 2, "sampling": {"temperature": 1.0, "max_new_tokens": 6}}


@pytest.fixture(scope="module")
def files(tmp_path_factory, tiny_model_dir):
    """Rows, models, and what another model says about all rows; a run in rounds whose last training is to come."""
    place = tmp_path_factory.mktemp("files")
    data = write_training_files(place)
    rows = [data / f"{split}_sft.jsonl" for split in ("train", "validation")]
    teacher = make_directory(place / "teacher", 9)
    manifest = capture(place / "store", rows, teacher, tiny_model_dir, max_length=256)
    t5, t5_teacher = (make_directory_of("t5", place / f"t5 {seed}", seed) for seed in (1, 2))
    rounds = Run(place / "rounds", write_models(place / "of rounds"), ROUNDS, batch_size=4)
    rounds.go(1)
    rounds.answer(2)
    rounds.score(2)
    return SimpleNamespace(
        data=data, base=tiny_model_dir, teacher=teacher, manifest=manifest, t5=t5, t5_teacher=t5_teacher, rounds=rounds
    )


def make(place, files, name, processes=1, strategy="ddp", kind=Job, **training):
    """A job of ``JOBS``."""
    method, adaptation, arguments = JOBS[name]
    exact = {"lora": {"dropout": 0}}  # every process draws its own
    base = files.t5 if name == "taught" else files.base
    job = kind(place / name, base, files.data, method, adaptation, **(exact | arguments | training))
    job.command += ["--strategy", strategy]
    job.command += ["--distributions", files.manifest] if name == "todi" else []
    job.command += ["--teacher-base", files.t5_teacher] if name == "taught" else []
    job.command += ["--teacher-base", files.teacher] if name == "pruned" else []
    job.processes = processes
    return job


def last_round(place, rounds):
    """The last training of a run in rounds."""
    job = Called(place / "round", rounds.settings(2).model_dump_json(), rounds.base, rounds.data, rounds.data)
    inputs = rounds.inputs(2)
    job.command += ["--distributions", inputs.distributions, "--before", inputs.before]
    job.command += ["--own-answers", inputs.own_answers, "--own-distributions", inputs.own_distributions]
    return job


@pytest.fixture(scope="module")
def made(tmp_path_factory, files):
    """All jobs by one process, and by two with either strategy; also one with dropout by two."""
    place = tmp_path_factory.mktemp("made")
    one, ddp, fsdp = (
        {name: make(place / case, files, name, strategy=strategy) for name in JOBS}
        for case, strategy in (("one", "ddp"), ("ddp", "ddp"), ("fsdp", "fsdp"))
    )
    one["round"], ddp["round"] = (last_round(place / case, files.rounds) for case in ("one", "ddp"))
    dropped = make(place / "dropped", files, "sft", lora={"dropout": 0.3})
    finish_all(one.values(), 1, place / "one.json")
    finish_all([*ddp.values(), *fsdp.values(), dropped], 2, place / "two.json")
    return SimpleNamespace(one=one, ddp=ddp, fsdp=fsdp, dropped=dropped)


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


@pytest.mark.parametrize(("name", "strategy"), [*product(JOBS, ["ddp", "fsdp"]), ("round", "ddp")])
def test_two_processes_make_what_one_makes(made, name, strategy):
    """45 rows in batches of 4: one batch of each epoch has a row for only one of them."""
    check_same(getattr(made, strategy)[name], made.one[name])


def test_zeros_stay_zeros_where_weights_are_divided(made):
    expected = weights(made.one["pruned"])
    for name, tensor in weights(made.fsdp["pruned"]).items():
        assert bool(((tensor == 0) == (expected[name] == 0)).all()), name


@pytest.mark.parametrize(
    ("before", "after"), [((2, "fsdp"), (1, "ddp")), ((1, "ddp"), (3, "fsdp"))], ids=["to one", "to three"]
)
def test_a_killed_job_goes_on_with_another_number_of_processes(tmp_path, files, made, before, after):
    job = make(tmp_path, files, "sft", *before)
    job.interrupt(4, 0, signal.SIGKILL)
    assert not job.output.exists()
    job.processes, job.command[job.command.index("--strategy") + 1] = after
    assert "resuming at step" in job.finish()
    check_same(job, made.one["sft"])


def test_all_processes_stop_at_one_step_and_go_on_to_the_same_bytes(tmp_path, files, made):
    """Dropout included: its draw depends on step and process alone."""
    broken = make(tmp_path, files, "sft", 2, lora={"dropout": 0.3})
    assert broken.interrupt(4, 0, signal.SIGTERM) == 143
    assert broken.steps()
    assert "resuming at step" in broken.finish()
    assert broken.digests() == made.dropped.digests()


@pytest.mark.parametrize(
    ("hardware", "gpu", "gres"),
    [
        ({"device": "cuda", "devices": 2}, 2, ""),
        ({"device": "cuda", "devices": 2, "nodes": 2}, 0, "gpu:2"),
        ({"devices": 2, "nodes": 2}, 0, ""),
    ],
)
def test_several_machines_are_asked_for_the_gpus_of_each(hardware, gpu, gres):
    plan = Plan(check(smoke() | {"hardware": hardware}), ROOT)
    wildcards = SimpleNamespace(study="dolly")
    assert (plan.training_gpus(wildcards), plan.training_gres(wildcards)) == (gpu, gres)


class Launched(Job):
    """A job as its rule starts it on several devices.

    Attributes:
        machines: that have two devices together.
    """

    machines = 1

    def start(self):
        hardware = {"devices": 2 // self.machines, "nodes": self.machines}
        python, module, name, *options = Plan(check(smoke() | {"hardware": hardware}), ROOT).python(STUDY)
        assert (python, module) == ("python", "-m")
        launcher, script = (ROOT / name.replace(".", "/")).with_suffix(".py"), script_of(self.script)
        return Calls(launcher, *options, script, *self.command, machines=self.machines)


class Calls(Scripts):
    """A call on each machine, all on this one; a signal goes to the second process of the first."""

    def __init__(self, launcher, *arguments, machines):
        self._store = meeting()
        place = {"PET_RDZV_ENDPOINT": f"127.0.0.1:{self._store.port}", "PET_RDZV_CONF": "is_host=0"}
        environment = place if machines > 1 else {}
        super().__init__([Script(launcher, *arguments, environment=environment) for _ in range(machines)])

    def send_signal(self, number):
        psutil.Process(self.scripts[0].pid).children()[1].send_signal(number)


def test_the_end_of_one_process_ends_the_job_and_two_machines_resume_it(tmp_path, files, made):
    broken = make(tmp_path, files, "sft", kind=Launched)
    assert broken.interrupt(4, 0, signal.SIGKILL) == 128 + signal.SIGKILL
    assert not broken.output.exists()
    broken.machines = 2
    assert "resuming at step" in broken.finish()
    assert broken.digests() == made.ddp["sft"].digests()
    assert "2 processes share each batch" in (broken.output / "hardware.json").read_text()
