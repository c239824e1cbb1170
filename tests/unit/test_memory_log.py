"""The memory log: what is measured, and rows that survive a kill."""

import json

import pytest
import torch

from pipestill.training import memory
from pipestill.training.memory import MemoryLog


def test_what_is_held_is_seen_and_its_peak_stays():
    before = memory.memory()
    assert set(before) == {"memory_mb", "peak_memory_mb"} and 0 < before["memory_mb"] <= before["peak_memory_mb"]
    size = 200 + before["peak_memory_mb"] - before["memory_mb"]  # MB, beyond what was held at any time before
    held = bytearray(b"1" * 1_000_000) * int(size)
    during = memory.memory()
    del held
    after = memory.memory()
    assert during["memory_mb"] - before["memory_mb"] == pytest.approx(size, abs=30)
    assert during["peak_memory_mb"] - before["peak_memory_mb"] == pytest.approx(200, abs=30)
    assert after["memory_mb"] < during["memory_mb"] - 150
    assert after["peak_memory_mb"] == pytest.approx(during["peak_memory_mb"], abs=1)


def test_gpus_are_added_up(monkeypatch):
    for name, values in (
        ("memory_allocated", (3e6, 4e6)),
        ("memory_reserved", (10e6, 20e6)),
        ("max_memory_allocated", (5e6, 6e6)),
    ):
        monkeypatch.setattr(torch.cuda, name, values.__getitem__)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    found = memory.memory()
    assert {name: found[name] for name in found if name.startswith("gpu")} == {
        "gpu_allocated_mb": 7.0,
        "gpu_reserved_mb": 30.0,
        "gpu_memory_mb": 11.0,
    }


def test_a_resumed_run_replaces_the_steps_that_it_does_again(tmp_path, monkeypatch):
    sizes = iter(range(9))
    monkeypatch.setattr(memory, "memory", lambda: {"memory_mb": next(sizes)})
    killed = MemoryLog(tmp_path)
    for step in (1, 2, 3):
        killed.measure(step)
    with open(tmp_path / memory.LOG, "a") as file:
        file.write('{"key":"4","st')
    resumed = MemoryLog(tmp_path)
    for step in (3, 4):
        resumed.measure(step)
    rows = [{"step": step, "memory_mb": size} for step, size in ((1, 0), (2, 1), (3, 3), (4, 4))]
    assert resumed.rows() == MemoryLog(tmp_path).rows() == rows
    assert json.loads((tmp_path / memory.LOG).read_text().splitlines()[-1])["step"] == 4
