"""The hardware plan: abilities of this machine (a probe), and their use (a pure function of probe and config).

One plan serves training and prediction, so that both see the same weights in the same number format.
"""

import ctypes
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pipestill.errors import UserError
from pipestill.job.versions import versions
from pipestill.models.libraries import import_libraries
from pipestill.settings.models import HardwareConfig
from pipestill.settings.training import Adaptation

Precision = Literal["fp32", "bf16", "fp16"]
WHOLE = {  # why no weights are held in 4 bits
    "full": "full fine-tuning changes all weights, and 4-bit weights cannot be trained",
    "biases": "trained biases are stored with all weights, and 4-bit weights are not stored",
}


@dataclass(frozen=True)
class Probe:
    """Abilities of a machine.

    Attributes:
        cuda_capability: compute capability of the first CUDA device, such as ``(8, 0)``; none without CUDA.
        mps: Apple's GPU is usable.
        xpu: Intel's GPU is usable.
        bitsandbytes: the library for 4-bit weights is installed.
        cpu_bf16: the processor multiplies bf16 natively (avx512_bf16 or amx_bf16).
        cores: processor cores that this process may use.
        memory_mb: main memory.
    """

    cuda_capability: tuple[int, int] | None = None
    mps: bool = False
    xpu: bool = False
    bitsandbytes: bool = False
    cpu_bf16: bool = False
    cores: int = 1
    memory_mb: int = 0


@dataclass(frozen=True)
class HardwarePlan:
    """Device, number formats and optimizer of a model.

    Attributes:
        device: ``cpu``, ``cuda``, ``mps`` or ``xpu``.
        precision: number format of the computation; below fp32 the Trainer gets the flag of the same name.
        weights: number format in which base weights are held *in training*; fp32 beside fp16 or where any of them are
            trained, since the optimizer needs master weights that small updates do not vanish in.
        quantization: ``nf4`` holds the linear layers' base weights in 4 bits with double quantisation.
        optimizer: name for the Trainer's ``optim``.
        threads: torch threads.
        offload_folder: weights that do not fit on the GPU lie here (``OFFLOAD_FOLDER``).
        notes: each decision that differs from what was asked or expected, a sentence each.
    """

    device: Literal["cpu", "cuda", "mps", "xpu"]
    precision: Precision = "fp32"
    weights: Precision = "fp32"
    quantization: Literal["none", "nf4"] = "none"
    optimizer: str = "adamw_torch_fused"
    threads: int = 1
    offload_folder: str | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The plan for ``hardware.json``."""
        return asdict(self) | {"notes": list(self.notes)}


def probe() -> Probe:
    """Look at this machine; imports torch."""
    import torch

    cuda = torch.cuda.is_available()
    return Probe(
        cuda_capability=torch.cuda.get_device_capability() if cuda else None,
        mps=torch.backends.mps.is_available(),
        xpu=torch.xpu.is_available(),
        bitsandbytes="bitsandbytes" in versions(),  # importing it takes a second
        cpu_bf16=_cpu_bf16(Path("/proc/cpuinfo")),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_mb=_memory_mb(),
    )


def _cpu_bf16(cpuinfo: Path) -> bool:
    if not cpuinfo.is_file():
        return False
    flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), "")
    return bool({"avx512_bf16", "amx_bf16"} & set(flags.split()))


def _memory_mb() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (ValueError, OSError):  # not told by this system
        return 0


def plan_hardware(
    probe: Probe,
    hardware: HardwareConfig,
    *,
    adaptation: Adaptation,
    threads: int,
    environ: Mapping[str, str],
) -> HardwarePlan:
    """Choose device, precision, quantisation and optimizer; a pure function.

    Args:
        probe: abilities of the machine.
        hardware: section of the configuration.
        adaptation: of the training run, in prediction too, so that both get the same plan.
        threads: torch threads.
        environ: environment variables; ``OFFLOAD_FOLDER`` is read.
    """
    notes: list[str] = []
    device = _device(probe, hardware.device, notes)
    precision = _precision(probe, device, hardware.precision, notes)
    quantization = _quantization(probe, device, hardware.quantization, adaptation, notes)
    weights: Precision = "bf16" if precision == "bf16" and adaptation == "lora" else "fp32"
    if device == "cuda" and quantization == "nf4":
        optimizer = "paged_adamw_8bit"
    else:
        optimizer = "adamw_torch_fused" if device in ("cpu", "cuda") else "adamw_torch"
    if threads > probe.cores:
        notes.append(f"{threads} threads were asked for on {probe.cores} cores: using {probe.cores}")
        threads = probe.cores
    offload = environ.get("OFFLOAD_FOLDER") or None
    if offload and device != "cuda":
        notes.append(f"OFFLOAD_FOLDER is set, but offloading is for CUDA: without effect on {device}")
        offload = None
    return HardwarePlan(device, precision, weights, quantization, optimizer, threads, offload, tuple(notes))


def _device(probe: Probe, asked: str, notes: list[str]) -> Literal["cpu", "cuda", "mps", "xpu"]:
    there = {"cuda": probe.cuda_capability is not None, "xpu": probe.xpu, "mps": probe.mps, "cpu": True}
    if asked != "auto":
        if there[asked]:
            return asked
        notes.append(f"device `{asked}` was asked for, but torch finds none here: using the best that is there")
    return next(device for device in there if there[device])


def _precision(probe: Probe, device: str, asked: str, notes: list[str]) -> Precision:
    """bf16 where it is native; fp16 only on CUDA, where the Trainer scales the loss; else fp32."""
    capability = probe.cuda_capability or (0, 0)
    if device == "cuda":
        able = [*["bf16"] * (capability >= (8, 0)), *["fp16"] * (capability >= (7, 0)), "fp32"]
        where = f"CUDA capability {capability[0]}.{capability[1]}"
    elif device == "xpu":
        able, where = ["bf16", "fp32"], "this GPU"
    elif device == "mps":
        able, where = ["fp32", "bf16"], "this GPU"
    else:
        able = ["fp32", "bf16"] if probe.cpu_bf16 else ["fp32"]
        where = "this processor" if probe.cpu_bf16 else "this processor, which has neither avx512_bf16 nor amx_bf16"
    if asked in able:
        return asked
    if asked == "auto":
        if device == "cuda" and able[0] != "bf16":
            notes.append(f"{where} has no native bf16: using {able[0]}")
        return able[0]
    notes.append(f"precision `{asked}` was asked for, but is not for {where}: using {able[0]}")
    return able[0]


def _quantization(
    probe: Probe, device: str, asked: str, adaptation: Adaptation, notes: list[str]
) -> Literal["none", "nf4"]:
    """NF4 needs bitsandbytes, adapters, and CUDA 7.0 or later; on a CPU it is taken only when asked for."""
    if asked == "none" or (asked == "auto" and (device != "cuda" or adaptation != "lora")):
        return "none"
    if adaptation != "lora":
        reason = WHOLE[adaptation]
    elif device not in ("cuda", "cpu"):
        reason = f"4-bit weights run on CUDA and CPU, not on {device}"
    elif device == "cuda" and probe.cuda_capability < (7, 0):
        reason = "4-bit weights need CUDA capability 7.0"
    elif not probe.bitsandbytes:
        reason = "bitsandbytes is not installed"
    else:
        if device == "cpu":
            notes.append("4-bit base weights on a CPU save memory, not time: they are unpacked in every pass")
        return "nf4"
    notes.append(f"quantization is `{asked}`, but {reason}: base weights stay unquantised")
    return "none"


def plan_here(hardware: HardwareConfig, adaptation: Adaptation, threads: int) -> HardwarePlan:
    """:func:`plan_hardware` for this machine."""
    return plan_hardware(probe(), hardware, adaptation=adaptation, threads=threads, environ=os.environ)


def in_main_memory(plan: HardwarePlan) -> HardwarePlan:
    """The plan of a model whose weights stay in main memory, in the number format that they have on the device.

    Raises:
        UserError: weights in 4 bits, which lie on the device from the start.
    """
    if plan.quantization != "none":
        raise UserError(
            "weights in 4 bits cannot be divided among devices: set `hardware.quantization: none`, or "
            "`hardware.strategy: ddp`"
        )
    return replace(plan, device="cpu", offload_folder=None)


def apply(plan: HardwarePlan) -> None:
    """Set torch's threads; on a CPU also what becomes of memory, and algorithms that give one seed the same bits.

    Transformers is imported, quiet, with the library of 4-bit weights where the plan has some.
    """
    import torch

    torch.set_num_threads(plan.threads)
    if plan.device == "cpu":
        keep_freed_memory()
        torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms(True), without its slow import
        torch.utils.deterministic.fill_uninitialized_memory = False  # filling costs time and hides nothing here
    import_libraries(four_bit=plan.quantization != "none" or "bit" in plan.optimizer)


def share_freed_memory() -> None:
    """Let all threads of this process use again what any of them has freed, where the C library is glibc.

    It has heaps by thread otherwise, and one that computes in another thread than it loads in fills several of them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-8, 1)  # M_ARENA_MAX


def bound_kernel_caches() -> None:
    """Keep the kernels of few shapes; to be called before the first computation.

    torch keeps those of 1,024 shapes, and oneDNN below it again as many, which is hundreds of megabytes where every
    batch has a shape of its own. What the environment says already stays as it is.
    """
    os.environ.setdefault("LRU_CACHE_CAPACITY", "1")  # of torch, whose cache saves nothing before that of oneDNN
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")


def keep_freed_memory() -> None:
    """Let tensors use again what earlier ones have freed.

    By default glibc gives large blocks back to the system, and every step pays for new pages that the system zeroes, a
    cost above the arithmetic on small blocks. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc; its malloc.h has the numbers of the parameters
    if mallopt is not None:
        mallopt(-3, 32 * 2**20)  # M_MMAP_THRESHOLD: larger blocks only have pages of their own
        mallopt(-1, 256 * 2**20)  # M_TRIM_THRESHOLD: more free memory than this is given back
