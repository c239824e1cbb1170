"""What processes of a job share."""

import json
import subprocess
import sys

import pytest

from pipestill.errors import UserError
from pipestill.job.processes import ALONE, Group, joined

PROGRAM = """
import json, sys
from datetime import timedelta
import torch
from torch import distributed
from pipestill.errors import UserError
from pipestill.job import processes

rank, path = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group(
    "gloo", store=distributed.FileStore(path, 2), timeout=timedelta(seconds=60), world_size=2, rank=rank
)
group = processes.Group(rank, 2)
found = [group.gather({"rank": rank}), group.lead(lambda: f"made by {rank}"), group.share("abcde")]
processes.BUCKET = 5
tensors = [torch.full(shape, rank + 1.0) for shape in ((2, 2), (3,), (), (7,))]
tensors.insert(1, torch.ones(2, dtype=torch.float64))
group.add_up(tensors)
found.append([tensor.tolist() for tensor in tensors])
try:
    found.append(group.gather(1) if rank == 0 else None)
except UserError as error:
    found.append(str(error))
print(json.dumps(found), flush=True)  # gloo may abort at the exit of one whose other is gone
"""


def test_two_processes_share_values_and_sums_and_learn_of_an_end(tmp_path):
    command = [sys.executable, "-c", PROGRAM]
    started = [
        subprocess.Popen([*command, str(rank), tmp_path / "store"], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    first, second = (json.loads(process.communicate(timeout=120)[0]) for process in started)
    sums = [[[3.0] * 2] * 2, [2.0] * 2, [3.0] * 3, 3.0, [3.0] * 7]
    common = [[{"rank": 0}, {"rank": 1}], "made by 0"]
    gone = "another process of this job has ended: its own message says why"
    assert first == [*common, "ace", sums, gone]
    assert second == [*common, "bd", sums, None]


def test_one_process_is_alone_and_imports_nothing_for_others():
    program = (
        "import sys\nfrom pipestill.job.processes import joined\nwith joined() as group: assert group.size == 1\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_one_process_of_torchrun_is_alone(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with joined() as group:
        assert group is ALONE


def test_several_devices_of_other_kinds_are_refused():
    from pipestill.models.hardware import HardwarePlan
    from pipestill.training.run import _noted

    group = Group(0, 2)
    group.gather = lambda value: [value, "cpu"]
    with pytest.raises(UserError, match=r"2 devices are asked for.*finds cuda, cpu"):
        _noted(HardwarePlan("cuda"), group, False)
    assert _noted(HardwarePlan("mps"), ALONE, False) == HardwarePlan("mps")


def test_weights_in_4_bits_are_not_divided():
    from pipestill.models.hardware import HardwarePlan
    from pipestill.training.run import _noted

    group = Group(0, 2)
    group.gather = lambda value: [value, value]
    four_bits = HardwarePlan("cuda", quantization="nf4")
    with pytest.raises(UserError, match=r"weights in 4 bits cannot be divided.*set `hardware\.quantization: none`"):
        _noted(four_bits, group, True)
    assert "divided" not in _noted(four_bits, group, False).notes[0]
