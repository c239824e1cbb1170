import ctypes
import json
from types import SimpleNamespace

import pytest

from pipestill.models import hardware
from pipestill.models.hardware import HardwarePlan, Probe, _cpu_bf16, apply, keep_freed_memory, plan_hardware, probe
from pipestill.settings.models import HardwareConfig

AMPERE = Probe(cuda_capability=(8, 6), bitsandbytes=True, cores=8)
TURING = Probe(cuda_capability=(7, 5), bitsandbytes=True, cores=8)
PASCAL = Probe(cuda_capability=(6, 1), bitsandbytes=True, cores=8)
CUDA_ONLY = Probe(cuda_capability=(9, 0), cores=8)
CPU = Probe(bitsandbytes=True, cores=2)
CPU_BF16 = Probe(bitsandbytes=True, cpu_bf16=True, cores=2)
XPU = Probe(xpu=True, bitsandbytes=True, cores=8)
MPS = Probe(mps=True, cores=8)


def plan(machine, adaptation="lora", threads=1, environ=None, **asked):
    return plan_hardware(
        machine, HardwareConfig(**asked), adaptation=adaptation, threads=threads, environ=environ or {}
    )


FUSED, PLAIN, PAGED = "adamw_torch_fused", "adamw_torch", "paged_adamw_8bit"


@pytest.mark.parametrize(
    ("machine", "adaptation", "asked", "device", "precision", "weights", "quantization", "optimizer", "note"),
    [
        (AMPERE, "lora", {}, "cuda", "bf16", "bf16", "nf4", PAGED, None),
        (AMPERE, "lora", {"quantization": "nf4"}, "cuda", "bf16", "bf16", "nf4", PAGED, None),
        (AMPERE, "lora", {"quantization": "none"}, "cuda", "bf16", "bf16", "none", FUSED, None),
        (AMPERE, "full", {}, "cuda", "bf16", "fp32", "none", FUSED, None),
        (AMPERE, "full", {"quantization": "nf4"}, "cuda", "bf16", "fp32", "none", FUSED, "full fine-tuning"),
        (AMPERE, "lora", {"precision": "fp16"}, "cuda", "fp16", "fp32", "nf4", PAGED, None),
        (AMPERE, "lora", {"precision": "fp32"}, "cuda", "fp32", "fp32", "nf4", PAGED, None),
        (CUDA_ONLY, "lora", {}, "cuda", "bf16", "bf16", "none", FUSED, "bitsandbytes is not installed"),
        (CUDA_ONLY, "lora", {"quantization": "nf4"}, "cuda", "bf16", "bf16", "none", FUSED, "bitsandbytes"),
        (TURING, "lora", {}, "cuda", "fp16", "fp32", "nf4", PAGED, "7.5 has no native bf16"),
        (TURING, "full", {}, "cuda", "fp16", "fp32", "none", FUSED, "7.5 has no native bf16"),
        (TURING, "lora", {"precision": "bf16"}, "cuda", "fp16", "fp32", "nf4", PAGED, "precision `bf16`"),
        (TURING, "lora", {"precision": "fp16"}, "cuda", "fp16", "fp32", "nf4", PAGED, None),
        (PASCAL, "lora", {"quantization": "none"}, "cuda", "fp32", "fp32", "none", FUSED, "6.1 has no native bf16"),
        (PASCAL, "lora", {"precision": "fp32"}, "cuda", "fp32", "fp32", "none", FUSED, "4-bit weights need"),
        (AMPERE, "lora", {"device": "cpu"}, "cpu", "fp32", "fp32", "none", FUSED, None),
        (CPU, "lora", {}, "cpu", "fp32", "fp32", "none", FUSED, None),
        (CPU_BF16, "lora", {}, "cpu", "fp32", "fp32", "none", FUSED, None),
        (CPU_BF16, "lora", {"precision": "bf16"}, "cpu", "bf16", "bf16", "none", FUSED, None),
        (CPU_BF16, "full", {"precision": "bf16"}, "cpu", "bf16", "fp32", "none", FUSED, None),
        (CPU, "lora", {"precision": "bf16"}, "cpu", "fp32", "fp32", "none", FUSED, "avx512_bf16"),
        (CPU_BF16, "lora", {"precision": "fp16"}, "cpu", "fp32", "fp32", "none", FUSED, "precision `fp16`"),
        (CPU, "lora", {"quantization": "nf4"}, "cpu", "fp32", "fp32", "nf4", FUSED, "not time"),
        (CPU, "full", {"quantization": "nf4"}, "cpu", "fp32", "fp32", "none", FUSED, "full fine-tuning"),
        (Probe(), "lora", {"quantization": "nf4"}, "cpu", "fp32", "fp32", "none", FUSED, "not installed"),
        (CPU, "lora", {"device": "cuda"}, "cpu", "fp32", "fp32", "none", FUSED, "device `cuda`"),
        (XPU, "lora", {}, "xpu", "bf16", "bf16", "none", PLAIN, None),
        (XPU, "lora", {"precision": "fp16"}, "xpu", "bf16", "bf16", "none", PLAIN, "precision `fp16`"),
        (XPU, "lora", {"quantization": "nf4"}, "xpu", "bf16", "bf16", "none", PLAIN, "not on xpu"),
        (MPS, "lora", {}, "mps", "fp32", "fp32", "none", PLAIN, None),
        (MPS, "lora", {"precision": "bf16"}, "mps", "bf16", "bf16", "none", PLAIN, None),
        (MPS, "lora", {"device": "xpu"}, "mps", "fp32", "fp32", "none", PLAIN, "device `xpu`"),
    ],
)
def test_every_branch(machine, adaptation, asked, device, precision, weights, quantization, optimizer, note):
    result = plan(machine, adaptation, **asked)
    assert (result.device, result.precision, result.weights) == (device, precision, weights)
    assert (result.quantization, result.optimizer) == (quantization, optimizer)
    assert len(result.notes) == (note is not None)
    assert note is None or note in result.notes[0]


def test_two_downgrades_give_two_notes():
    assert len(plan(PASCAL).notes) == 2  # no bf16, no 4-bit weights


def test_fp16_weights_never_meet_fp16_amp():
    for machine in (AMPERE, TURING, PASCAL):
        for adaptation in ("lora", "full"):
            assert plan(machine, adaptation, precision="fp16").weights == "fp32"


def test_threads_are_capped_with_a_note():
    assert plan(CPU, threads=2) == plan(CPU, threads=2)
    assert plan(CPU, threads=2).notes == ()
    result = plan(CPU, threads=64)
    assert result.threads == 2 and "64 threads" in result.notes[0]


def test_offload_folder():
    environ = {"OFFLOAD_FOLDER": "scratch"}
    assert plan(AMPERE, environ=environ).offload_folder == "scratch"
    result = plan(CPU, environ=environ)
    assert result.offload_folder is None and "without effect on cpu" in result.notes[0]
    assert plan(AMPERE, environ={"OFFLOAD_FOLDER": ""}).offload_folder is None


def test_the_plan_as_json():
    result = plan(TURING, environ={"OFFLOAD_FOLDER": "scratch"})
    written = json.loads(json.dumps(result.to_json()))
    assert HardwarePlan(**written | {"notes": result.notes}) == result and written["notes"] == list(result.notes)


def test_cpu_flags(tmp_path):
    file = tmp_path / "cpuinfo"
    assert not _cpu_bf16(file)
    file.write_text("processor : 0\nflags\t\t: fpu avx2 avx512_bf16x\n")
    assert not _cpu_bf16(file)
    file.write_text("processor : 0\nflags\t\t: fpu avx2 avx512_bf16\n")
    assert _cpu_bf16(file)


def test_this_machine():
    import torch

    here = probe()
    assert here.cores >= 1 and (here.cuda_capability is not None) == torch.cuda.is_available()
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        apply(HardwarePlan("cpu", threads=1))
        assert torch.get_num_threads() == 1 and torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


def test_glibc_is_asked_to_keep_freed_memory(monkeypatch):
    asked = {}
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=asked.__setitem__))
    keep_freed_memory()
    mmap_threshold, trim_threshold = asked[-3], asked[-1]  # by their numbers in glibc's malloc.h
    assert 2**20 < mmap_threshold < trim_threshold


def test_other_c_libraries_are_left_as_they_are(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    keep_freed_memory()


def test_kernels_of_few_shapes_are_kept_unless_the_environment_says_more(monkeypatch):
    monkeypatch.setattr(hardware.os, "environ", found := {"LRU_CACHE_CAPACITY": "7"})
    hardware.bound_kernel_caches()
    assert found == {"LRU_CACHE_CAPACITY": "7", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256"}
