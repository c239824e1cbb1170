"""Sizes and speeds of the models of a study; those of one shape are timed once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipestill.compression.footprint import speed, weight_files, weights
from pipestill.io.digests import canonical_json
from pipestill.io.files import read_json
from pipestill.settings.sizes import Size, Sizes

FLOAT, FLOATS = "float", ("F32", "BF16", "F16")
READ = ("architectures", "quantization_config")  # of a config.json: what a model is made of, and how it is packed


def measure_sizes(study: str, models: Mapping[str, tuple[Path, Path]]) -> Sizes:
    """Measure the models of a study.

    Args:
        study: its name.
        models: by the name of a row, the base model and the model directory, which are the same where nothing was
            trained.

    Raises:
        UserError: a model is missing or damaged.
    """
    rows: dict[str, Size] = {}
    timed: dict[str, str] = {}  # rows by shape
    for name, (base, own) in models.items():
        model = None if own == base else own
        first = timed.setdefault(shape_of(base, model), name)
        measured = speed(base, model) if first == name else _speed_of(rows[first])
        rows[name] = Size.model_validate({**weights(base, model), **measured, "timed": first})
    return Sizes(study=study, rows=rows)


def _speed_of(size: Size) -> dict[str, Any]:
    names = ("fast_layers", "prefill_tokens_a_second", "decode_tokens_a_second", "peak_memory_mb")
    return size.model_dump(include=set(names))


def shape_of(base: Path, model: Path | None) -> str:
    """What decides the speed of a model: names, shapes and formats of its tensors, and how they are read.

    Floating-point numbers count alike, since all are timed in float32.
    """
    from safetensors import safe_open

    tensors = []
    files = weight_files(base, model)
    for file in files:
        with safe_open(file, "pt") as found:
            slices = {name: found.get_slice(name) for name in sorted(found.keys())}
            for name, each in slices.items():
                dtype = each.get_dtype()
                tensors.append((name, FLOAT if dtype in FLOATS else dtype, each.get_shape()))
    config = read_json(files[0].parent / "config.json")
    return canonical_json([tensors, {key: config.get(key) for key in READ}])
