"""Trained models on disk: safetensors, no absolute path, no time, checksums last; equal weights give equal bytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipestill.io.files import fresh_directory, read_json, write_json, write_sha256sums, write_text
from pipestill.io.records import write_jsonl
from pipestill.models.lineage import ADAPTER, LINEAGE, is_adapter

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WRITERS = {".json": write_json, ".jsonl": write_jsonl, ".log": write_text}


def save_model(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    directory: Path,
    *,
    lineage: dict[str, Any],
    extras: Mapping[str, Any] | None = None,
    weights: Mapping[str, Any] | None = None,
) -> None:
    """Write a trained model; ``directory`` appears when everything in it is complete.

    Args:
        model: a ``PeftModel`` (its adapter is written) or a ``PreTrainedModel`` (its full weights are written).
        tokenizer: written beside it.
        directory: the final place.
        lineage: from :func:`pipestill.models.lineage.make_lineage`.
        extras: further files by name: values for ``.json``, lists of rows for ``.jsonl``, texts for ``.log``.
        weights: tensors to write in place of the model's own full weights.
    """
    with fresh_directory(directory) as temporary:
        if hasattr(model, "peft_config"):
            model.save_pretrained(temporary, save_embedding_layers=False)
            (temporary / "README.md").unlink(missing_ok=True)  # peft's card template, which names the base by its path
        else:
            model.save_pretrained(temporary, **({} if weights is None else {"state_dict": dict(weights)}))
        tokenizer.save_pretrained(temporary)
        tidy(temporary)
        write_json(temporary / LINEAGE, lineage)
        for name, value in (extras or {}).items():
            WRITERS[Path(name).suffix](temporary / name, value)
        write_sha256sums(temporary)


def tidy(directory: Path) -> None:
    """Take out of the libraries' files what depends on this machine or on the order of a set."""
    if is_adapter(directory):
        adapter = read_json(directory / ADAPTER)
        adapter["base_model_name_or_path"] = Path(adapter.get("base_model_name_or_path") or "").name
        if isinstance(adapter.get("target_modules"), list):
            adapter["target_modules"].sort()
        write_json(directory / ADAPTER, adapter)
    else:
        write_json(directory / "config.json", read_json(directory / "config.json") | {"use_cache": True})
    if not (directory / "tokenizer_config.json").is_file():
        return
    tokenizer = read_json(directory / "tokenizer_config.json")
    for key in ("name_or_path", "is_local", "local_files_only"):
        tokenizer.pop(key, None)
    write_json(directory / "tokenizer_config.json", tokenizer)
