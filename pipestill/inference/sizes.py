"""Sizes and speeds of models: bytes, weights, tokens a second, memory; each model in a process of its own."""

import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from safetensors import safe_open

from pipestill.inference.loaded import load, prepare
from pipestill.io.digests import canonical_json
from pipestill.io.files import read_json
from pipestill.job.cost import gpu_peak_mb, peak_memory_mb
from pipestill.models.kinds import kind_of
from pipestill.models.libraries import import_libraries
from pipestill.models.lineage import resolve
from pipestill.settings.jobs import ModelSettings
from pipestill.settings.models import WRITERS
from pipestill.settings.sizes import Size, Sizes, SizesSettings

if TYPE_CHECKING:
    import torch

ROWS, READ = 8, 128  # prompts that are read together, and tokens of each
PROMPT, WRITTEN = 16, 48  # tokens before an answer that is written by itself, and of it
REPEATS = 5  # of which the median counts
LOADED = "quantization_config"  # of a config.json: how packed weights are read


class Source(NamedTuple):
    """Where a model lies, and how it is loaded."""

    model: Path
    base: Path
    settings: ModelSettings
    threads: int

    @property
    def parts(self) -> list[Path]:
        """Directories that its weights lie in: full weights, then adapters."""
        if self.model == self.base:
            return [self.base]
        weights, adapters = resolve(self.model, self.base)
        return [weights, *adapters]

    @property
    def files(self) -> list[Path]:
        """Files of its weights."""
        return [file for part in self.parts for file in sorted(part.glob("*.safetensors"))]

    def shape(self) -> str:
        """What decides its speed: names, shapes and number formats of its tensors, and how they are read."""
        tensors = [(name, *facts) for file in self.files for name, facts in _header(file).items()]
        config = read_json(self.parts[0] / "config.json")
        kept = {key: config.get(key) for key in ("architectures", LOADED)}
        return canonical_json([tensors, kept, self.settings.model_dump(mode="json")])


class Timed(NamedTuple):
    """Speed and memory of a model."""

    prefill: float
    decode: float | None
    memory_mb: float
    gpu_memory_mb: float | None


class Found(NamedTuple):
    """What a process finds about a model: weights, those that are not zero, the device, and speed if it was asked."""

    parameters: int
    nonzero: int
    device: str
    timed: Timed | None


def measure_sizes(settings: SizesSettings, models: Sequence[Path], bases: Sequence[Path], threads: int) -> Sizes:
    """Measure the models of a study.

    Args:
        settings: rows of the study, in the order of ``models``.
        models: model directory of each row; its base model where nothing was trained.
        bases: base model of each row.
        threads: torch threads.

    Raises:
        UserError: a model is missing or damaged.
    """
    import_libraries(four_bit=False)  # before the processes that measure are split off
    rows, timed, names = {}, {}, {}
    for (name, adaptation), model, base in zip(settings.adaptations.items(), models, bases, strict=True):
        source = Source(model, base, ModelSettings(adaptation=adaptation, hardware=settings.hardware), threads)
        shape = source.shape()
        found = _apart(source, shape not in timed)
        if found.timed:
            timed[shape], names[shape] = found.timed, name
        on_disk = sum(file.stat().st_size for file in source.files)
        rows[name] = Size(
            bytes=on_disk,
            parameters=found.parameters,
            nonzero=found.nonzero,
            bits=8 * on_disk / found.parameters,
            timed=names[shape],
            **timed[shape]._asdict(),
        )
    return Sizes(study=settings.study, threads=threads, device=found.device, rows=rows)


def _apart(source: Source, timed: bool) -> Found:
    """What is found in a process of its own, whose memory is that of one model."""
    with get_context("fork" if sys.platform == "linux" else "spawn").Pool(1) as pool:
        return pool.apply(examine, (source, timed))


def _header(file: Path) -> dict[str, tuple[str, list[int]]]:
    with safe_open(file, "pt") as tensors:
        slices = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118 (no mapping)
        return {name: (own.get_dtype(), own.get_shape()) for name, own in sorted(slices.items())}


def examine(source: Source, timed: bool) -> Found:
    """Load a model, time it if asked, and count its weights; shared ones are counted once."""
    plan = prepare(source.settings, source.threads)
    loaded = load(source.base, None if source.model == source.base else source.model, plan)
    speed = time_model(loaded.model) if timed else None
    weights = list(loaded.model.parameters())
    nonzero = sum(int(each.count_nonzero()) for each in weights)
    return Found(sum(each.numel() for each in weights), nonzero, plan.device, speed)


def time_model(model: Any) -> Timed:
    """Tokens a second of a model, and the memory that this process takes with it."""
    import torch

    with torch.inference_mode():
        prefill = ROWS * READ / _seconds(lambda: _read(model, _tokens(model, ROWS, READ)))
        decode = None
        if kind_of(model.config) in WRITERS:
            prompt = _tokens(model, 1, PROMPT)
            whole, first = _seconds(lambda: _write(model, prompt, WRITTEN)), _seconds(lambda: _write(model, prompt, 1))
            decode = (WRITTEN - 1) / (whole - first)
    return Timed(prefill, decode, peak_memory_mb(), gpu_peak_mb())


def _seconds(work: Callable[[], Any]) -> float:
    import torch

    taken = []
    for _ in range(REPEATS + 1):  # the first warms up
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return median(taken[1:])


def _tokens(model: Any, rows: int, length: int) -> "torch.Tensor":
    import torch

    generator = torch.Generator().manual_seed(0)
    return torch.randint(3, model.config.vocab_size, (rows, length), generator=generator).to(model.device)


def _read(model: Any, tokens: "torch.Tensor") -> Any:
    """Read prompts; a causal model's head works at the last token of each, as before an answer."""
    if kind_of(model.config) == "seq2seq":
        return model.get_encoder()(input_ids=tokens)
    keep = {"logits_to_keep": 1, "use_cache": True} if kind_of(model.config) == "causal" else {}
    return model(input_ids=tokens, **keep)


def _write(model: Any, prompt: "torch.Tensor", length: int) -> None:
    """Read a prompt and write ``length`` tokens behind it, one after the other."""
    import torch

    read, name, known = _read(model, prompt), "input_ids", {}
    if kind_of(model.config) == "seq2seq":
        name, known = "decoder_input_ids", {"encoder_outputs": read}
        read = model(decoder_input_ids=prompt[:, :1], use_cache=True, **known)
    for _ in range(length - 1):
        token = torch.argmax(read.logits[:, -1:], dim=-1)
        read = model(**{name: token}, past_key_values=read.past_key_values, use_cache=True, **known)
