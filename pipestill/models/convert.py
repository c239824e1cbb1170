"""Pickled weights of older hub models to safetensors: once, tensors only, recorded."""

import zipfile
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.files import read_json, sha256, write_json

PICKLE_INDEX = "pytorch_model.bin.index.json"
INDEX = "model.safetensors.index.json"


def convert_pickles(directory: Path) -> list[dict[str, Any]]:
    """Convert every ``pytorch_model*.bin`` and ``adapter_model.bin`` of ``directory`` to safetensors and remove it.

    Returns:
        A row per file: ``from``, ``from_sha256``, ``to``, ``to_sha256``, ``tensors``.

    Raises:
        UserError: a file is damaged or holds something else than tensors; the message names it.
    """
    records = []
    for pickle in sorted([*directory.glob("pytorch_model*.bin"), *directory.glob("adapter_model.bin")]):
        converted = directory / _new_name(pickle.name)
        tensors = _convert(pickle, converted)
        records.append(
            {
                "from": pickle.name,
                "from_sha256": sha256(pickle),
                "to": converted.name,
                "to_sha256": sha256(converted),
                "tensors": tensors,
            }
        )
        pickle.unlink()
    index = directory / PICKLE_INDEX
    if index.is_file():
        value = read_json(index)
        value["weight_map"] = {name: _new_name(file) for name, file in value["weight_map"].items()}
        write_json(directory / INDEX, value)
        index.unlink()
    return records


def _new_name(name: str) -> str:
    return name.replace("pytorch_model", "model").replace(".bin", ".safetensors")


def _convert(pickle: Path, converted: Path) -> int:
    import torch
    from safetensors.torch import save_file

    try:
        # Tensors are mapped, not read: memory holds them once, when they are written. Old files without zip cannot be.
        state = torch.load(pickle, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(pickle))
    except Exception as error:  # torch raises whatever a damaged or hostile pickle leads to
        raise UserError(
            f"{pickle} is damaged or holds more than tensors, and is not read: {type(error).__name__}"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"{pickle} is not a mapping of names to tensors: it cannot be converted")
    # Tied weights share memory, which safetensors does not have: each name gets its own copy, so that none is lost.
    seen: set[int] = set()
    for name, tensor in state.items():
        storage = tensor.untyped_storage().data_ptr()
        whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes
        state[name] = tensor if whole and storage not in seen else tensor.clone(memory_format=torch.contiguous_format)
        seen.add(storage)
    save_file(state, converted, metadata={"format": "pt"})
    return len(state)
