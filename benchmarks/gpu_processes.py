"""Part ``nccl`` of ``gpu.py``: two processes, with a GPU each, or on a CPU if shapes are tiny."""

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from machine import Row, not_measured

WORLD = 2
NUMBERS = {False: 128 * 2**20, True: 2**16}  # of an all-reduce, in bfloat16; tiny or not
SHAPE = {False: (4096, 8192), True: (16, 32)}  # rows of a batch, width of a layer


def nccl(report) -> None:
    """An all-reduce, and the gradient of a batch in two halves."""
    if report.device == "cuda" and torch.cuda.device_count() < WORLD:
        report.add(
            "two processes", partial(not_measured, f"{torch.cuda.device_count()} GPU is there, and two are needed")
        )
        return
    report.add("two processes", partial(_run, report))


def _run(report) -> Row:
    with TemporaryDirectory() as directory:
        given = [directory, report.device, str(int(report.tiny)), str(report.rounds)]
        processes = [
            subprocess.Popen([sys.executable, __file__, str(rank), *given], stderr=subprocess.PIPE, text=True)
            for rank in range(WORLD)
        ]
        errors = [process.communicate()[1] for process in processes]
        failed = [error for process, error in zip(processes, errors, strict=True) if process.returncode]
        if failed:
            return not_measured((failed[0].strip().splitlines() or ["a process ended"])[-1][:200])
        return json.loads((Path(directory) / "row.json").read_text())


def work(rank: int, directory: str, device: str, tiny: bool, rounds: int) -> None:
    """One of the processes; the first writes what both found."""
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    backend = "nccl" if device == "cuda" else "gloo"
    where = f"cuda:{rank}" if device == "cuda" else "cpu"
    distributed.init_process_group(backend, init_method=f"file://{directory}/meet", rank=rank, world_size=WORLD)
    numbers = torch.ones(NUMBERS[tiny], dtype=torch.bfloat16, device=where)

    def timed(call) -> float:
        call()
        spent = []
        for _ in range(rounds):
            distributed.barrier()
            start = time.perf_counter()
            call()
            if device == "cuda":
                torch.cuda.synchronize(where)
            spent.append(time.perf_counter() - start)
        return sorted(spent)[rounds // 2]

    reduced = timed(lambda: distributed.all_reduce(numbers))
    rows, width = SHAPE[tiny]
    torch.manual_seed(0)
    layer = torch.nn.Linear(width, width, bias=False).to(where)
    batch = torch.randn(rows, width).to(where)
    (whole,) = torch.autograd.grad(layer(batch).square().mean(), layer.parameters())
    shared = DistributedDataParallel(layer, device_ids=[rank] if device == "cuda" else None)

    def step() -> None:
        layer.zero_grad()
        shared(batch[rank::WORLD]).square().mean().backward()

    spent = timed(step)
    error = float((layer.weight.grad - whole).abs().max() / whole.abs().max())
    if rank == 0:
        size = numbers.numel() * numbers.element_size()
        row = {"backend": backend, "all_reduce_ms": round(1000 * reduced, 3), "step_ms": round(1000 * spent, 3)}
        row |= {"all_reduce_gb_per_s": round(size / reduced / 1e9, 2), "gradient_error": error}
        (Path(directory) / "row.json").write_text(json.dumps(row))
    distributed.destroy_process_group()


if __name__ == "__main__":
    work(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "1", int(sys.argv[5]))
