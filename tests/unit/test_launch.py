"""What starts a process for each device, and what it makes of their ends."""

import itertools
import os

import pytest

from pipestill.job import launch
from support.scripts import Script
from support.workflow import ROOT

PROGRAM = """
import os, signal, sys
from pipestill.errors import UserError
from pipestill.job.processes import joined
from pipestill.job.script import run

class Other(UserError):
    exit_code = 7

def main():
    if sys.argv[1] == "all are wrong":
        raise Other("the file is empty: fill it")
    if sys.argv[1] == "one is wrong":
        with joined() as group:
            if group.rank == 1:
                raise UserError("the file is empty: fill it")
            group.gather(1)
    if os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()

run(main)
"""
KILLED = "process 1 of this job was ended by SIGKILL: repeat the call, which goes on where it was saved"


@pytest.mark.parametrize(
    ("case", "code", "sentence"),
    [
        ("all are wrong", 7, "the file is empty: fill it"),
        ("one is wrong", 1, "the file is empty: fill it"),
        ("one is killed", 137, KILLED),
    ],
)
def test_a_mistake_is_one_sentence_with_its_own_code(tmp_path, case, code, sentence):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    started = Script(ROOT / "pipestill" / "job" / "launch.py", "--devices", "2", program, case)
    assert started.wait() == code
    assert started.said() == f"error: {sentence}\n"


@pytest.fixture
def outside(monkeypatch):
    """No job of a scheduler, and no place to meet."""
    for name in [name for name in os.environ if name.startswith(("SLURM_", "PET_", "TORCHELASTIC_"))]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_several_machines_need_a_place_to_meet(outside, capsys):
    assert launch.main(["--nodes", "2", "--devices", "1", "train.py"]) == 1
    assert capsys.readouterr().err == (
        "error: hardware.nodes: 2 machines are asked for outside of a job of Slurm: lower it, or make this call on "
        "each machine with PET_RDZV_ENDPOINT=HOST:PORT, a free port on one of them\n"
    )


def test_a_job_of_slurm_starts_itself_on_each_machine(outside):
    calls = []
    outside.setattr(os, "execvpe", lambda *call: calls.append(call) or exit())
    told = {"SLURM_JOB_ID": "7", "SLURM_NNODES": "1", "SLURMD_NODENAME": "a", "SLURM_CPUS_PER_TASK": "8"}
    for name, value in told.items():
        outside.setenv(name, value)
    with pytest.raises(SystemExit):
        launch.main(["--nodes", "2", "--devices", "4", "train.py", "--seed", "1"])
    ((file, arguments, environment),) = calls
    assert file == arguments[0] == "srun"
    assert [name for name in environment if name.startswith("SLURM_")] == ["SLURM_JOB_ID"]
    assert {"--overlap", "--nodes=2", "--ntasks=2", "--cpus-per-task=8"} < set(arguments)
    own = ["-m", "pipestill.job.launch", "--nodes=2", "--devices=4", "--host=a", "train.py", "--seed", "1"]
    assert arguments[-len(own) :] == own


@pytest.mark.parametrize(("node", "is_host"), [("a", 1), ("b", 0)])
def test_the_calls_of_a_step_meet_at_the_first_machine(outside, node, is_host):
    started = []
    outside.setattr(launch, "_torchrun", lambda options, logs: started.append(options) or 0)
    told = {"SLURM_JOB_ID": 7, "SLURM_STEP_ID": 3, "SLURM_LAUNCH_NODE_IPADDR": "192.0.2.1", "SLURMD_NODENAME": node}
    for name, value in told.items():
        outside.setenv(name, str(value))
    assert launch.main(["--nodes=2", "--devices=4", "--host=a", "train.py", "--seed", "1"]) == 0
    (options,) = started
    told = {name: value for name, value in itertools.pairwise(options) if name.startswith("--")}
    assert told["--rdzv-endpoint"] == "192.0.2.1:20703"
    assert (told["--rdzv-id"], told["--rdzv-conf"]) == ("7.3", f"is_host={is_host}")
    assert (told["--nnodes"], told["--nproc-per-node"]) == ("2", "4")
    assert options[-3:] == ["train.py", "--seed", "1"]
