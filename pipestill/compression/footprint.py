"""What a model takes on this machine: bytes, weights, time and memory.

Speed and memory are measured in a process of their own, which runs this module, on one thread: seconds are those of
the processor, so that other programs on the machine do not count.
"""

import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipestill.compression.kernels import use_fast_kernels
from pipestill.compression.packed import SCALE, packed_layers
from pipestill.errors import UserError
from pipestill.job.cost import peak_memory_mb
from pipestill.models.hardware import HardwarePlan, apply
from pipestill.models.kinds import CLASSIFIER, kind_of
from pipestill.models.lineage import resolve
from pipestill.models.loading import load_base_model, load_trained_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WEIGHTS = "*model*.safetensors"  # of full weights and of adapters
PREFILL = (4, 128)  # rows and tokens
DECODED = 32  # tokens, each after PREFILL tokens of one row
REPEATED = 3  # times at least
SECONDS = 0.5  # of repetitions, at least


def footprint(base: Path, model: Path | None = None) -> dict[str, Any]:
    """Size and speed of a model on this machine's processor, in float32 or as it is quantised.

    Args:
        base: a directory of full weights.
        model: a model that was trained from it, if that is meant: full weights, quantised or not, or an adapter.

    Returns:
        For a JSON file: ``bytes_on_disk`` (of weights, with those of what an adapter lies on), ``parameters``,
        ``nonzero_weights``, ``bits_a_weight`` (on disk), ``quantised_layers``, ``fast_layers`` (that multiply by
        integer kernels here), ``prefill_tokens_a_second`` (4 rows of 128 tokens), ``decode_tokens_a_second`` (one row;
        none of a model that does not write), ``peak_memory_mb`` (of the process, libraries with it).

    Raises:
        UserError: the model cannot be loaded.
    """
    return weights(base, model) | speed(base, model)


def weights(base: Path, model: Path | None = None) -> dict[str, Any]:
    """What :func:`footprint` says of the weights alone, without loading the model."""
    files = weight_files(base, model)
    size, counted = sum(file.stat().st_size for file in files), Counter()
    for directory in dict.fromkeys(file.parent for file in files):
        counted.update(_count(directory))
    return {"bytes_on_disk": size, **counted, "bits_a_weight": round(8 * size / counted["parameters"], 2)}


def weight_files(base: Path, model: Path | None = None) -> list[Path]:
    """Files of the weights of a model: of full weights, then of adapters on them."""
    whole, adapters = (base, []) if model is None else resolve(model, base)
    return [file for each in (whole, *adapters) for file in sorted(each.glob(WEIGHTS))]


def _count(directory: Path) -> dict[str, int]:
    """Weights of a directory, those that are not zero, and quantised layers."""
    from safetensors import safe_open

    parameters = nonzero = layers = 0
    for _, packed in packed_layers(directory):
        layers += 1
        parameters += packed.values.numel()
        nonzero += int(packed.values.count_nonzero())
    for file in sorted(directory.glob(WEIGHTS)):
        with safe_open(file, "pt") as tensors:
            names = set(tensors.keys())
            quantised = {name.removesuffix(SCALE) for name in names if name.endswith(SCALE)}
            for name in sorted(names):
                if name.rpartition(".")[0] in quantised and not name.endswith(".bias"):
                    continue
                tensor = tensors.get_tensor(name)
                parameters += tensor.numel()
                nonzero += int(tensor.count_nonzero())
    return {"parameters": parameters, "nonzero_weights": nonzero, "quantised_layers": layers}


def speed(base: Path, model: Path | None = None) -> dict[str, Any]:
    """What :func:`footprint` says of speed and memory, measured in a process of its own."""
    asked = json.dumps([str(base), model and str(model)])
    command = [sys.executable, "-m", "pipestill.compression.footprint", asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        problem = (done.stderr.strip().splitlines() or ["it was killed"])[-1]
        raise UserError(f"the speed of {model or base} cannot be measured: {problem}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(base: Path, model: Path | None) -> dict[str, Any]:
    """Load a model in this process and time it; the rest of what :func:`footprint` returns."""
    plan = HardwarePlan("cpu", threads=1)
    apply(plan)
    loaded = load_base_model(base, plan) if model is None else load_trained_model(model, base, plan, merge=True)
    fast = use_fast_kernels(loaded, model or base)
    return {
        "fast_layers": fast,
        "prefill_tokens_a_second": round(PREFILL[0] * PREFILL[1] / prefill_seconds(loaded), 1),
        "decode_tokens_a_second": None if (each := decode_seconds(loaded)) is None else round(1 / each, 1),
        "peak_memory_mb": peak_memory_mb(),
    }


def prefill_seconds(model: "PreTrainedModel") -> float:
    """Seconds in which a model reads 4 rows of 128 tokens; of an encoder-decoder, its encoder."""
    import torch

    reader = model.get_encoder() if model.config.is_encoder_decoder else model
    tokens = _tokens(model, *PREFILL)
    with torch.inference_mode():
        return _median(lambda: reader(input_ids=tokens))


def decode_seconds(model: "PreTrainedModel") -> float | None:
    """Seconds in which a model writes one more token of one row, behind 128; none of a model that does not write."""
    import torch

    if kind_of(model.config) in ("masked", CLASSIFIER):
        return None
    tokens = _tokens(model, 1, PREFILL[1])

    def decode() -> float:
        told: dict[str, Any] = {"input_ids": tokens}
        if model.config.is_encoder_decoder:
            told = {"encoder_outputs": model.get_encoder()(input_ids=tokens), "decoder_input_ids": tokens[:, :1]}
        name = "decoder_input_ids" if model.config.is_encoder_decoder else "input_ids"
        told["past_key_values"] = model(**told, use_cache=True).past_key_values
        start = time.process_time()
        for _ in range(DECODED):
            model(**(told | {name: tokens[:, :1]}), use_cache=True)
        return (time.process_time() - start) / DECODED

    with torch.inference_mode():
        decode()
        return statistics.median(decode() for _ in range(REPEATED))


def _tokens(model: "PreTrainedModel", rows: int, tokens: int) -> Any:
    import torch

    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, model.config.vocab_size, (rows, tokens), generator=generator)


def _median(call: Callable[[], object]) -> float:
    """Median seconds of a call, which is repeated after a first one."""
    call()
    seconds: list[float] = []
    while len(seconds) < REPEATED or sum(seconds) < SECONDS:
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    from pipestill.job.startup import hide_unused

    hide_unused()
    given_base, given_model = json.loads(sys.argv[1])
    measured = measure(Path(given_base), given_model and Path(given_model))
    print(json.dumps(measured))
