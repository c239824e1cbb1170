"""The script for GPUs: every part on small shapes, through the code that a GPU runs."""

import json
import sys
from pathlib import Path

import pytest

from support.vllm import installed

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ROWS = {  # that a part has, of those that need no rival's library
    "fused": ["hidden 2048 products", "hidden 4096 jsd published", "hidden 4096 jsd liger", "hidden 4096 todi ours"],
    "sparse": ["logits fkl densify", "logits todi ours", "products of the student", "fused todi"],
    "qlora": ["batch 1, checkpointing default", "batch 1, checkpointing ours", "batch 8 default", "batch 8 ours"],
    "ranking": ["no_prefix seed", "no_prefix harness", "shared_512 ours"],
    "generation": ["one by one", "unsorted", "ours", "vllm"],
    "nccl": ["two processes"],
}


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A function that runs the script, and gives the rows of a part."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import gpu

    def call(part, *options):
        monkeypatch.setattr(sys, "argv", ["gpu.py", "--part", part, "--json", str(tmp_path / "gpu.json"), *options])
        gpu.main()
        found = json.loads((tmp_path / "gpu.json").read_text())
        assert found["benchmark"] == "gpu"
        assert set(found["parts"]) == {part}
        return found["parts"][part]

    return call


@pytest.fixture
def on_cpu(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize("part", ROWS)
def test_every_part_runs_on_small_shapes(run, on_cpu, part, tmp_path, monkeypatch):
    installed(tmp_path / "vllm", monkeypatch)
    rows = run(part, "--tiny", "--rounds", "1")
    assert set(ROWS[part]) <= set(rows)
    for name in ROWS[part]:
        assert "not_measured" not in rows[name], rows[name]
        assert all(value > 0 for key, value in rows[name].items() if key.endswith(("ms", "per_s")))
        assert "peak_mb" not in rows[name], "nobody measures the memory of a CPU here"
    if part == "nccl":
        assert rows["two processes"]["gradient_error"] < 1e-5


def test_without_a_gpu_there_is_no_number(run, on_cpu):
    assert run("fused") == {"fused": {"not_measured": "torch finds no CUDA device; --tiny runs on a CPU"}}


def test_what_fails_or_comes_too_late_says_so(run, on_cpu, monkeypatch):
    import gpu_losses

    def fails(*_):
        raise RuntimeError("out of memory\nmore")

    monkeypatch.setattr(gpu_losses.Rivals, "chunked", fails)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    rows = run("fused", "--tiny", "--rounds", "1")
    assert rows["hidden 2048 jsd liger"] == {"not_measured": "RuntimeError: out of memory"}
    late = run("sparse", "--tiny", "--minutes", "0")
    assert set(map(str, late.values())) == {"{'not_measured': 'the minutes are over'}"}
