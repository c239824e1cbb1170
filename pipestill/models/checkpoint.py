"""Models from elsewhere on disk, to be evaluated as students: full weights, PEFT adapters, models trained here."""

import os
from pathlib import Path
from typing import Any

from pipestill.errors import UserError, first_line
from pipestill.io.files import (
    SHA256SUMS,
    fresh_directory,
    read_json,
    verify_sha256sums,
    write_json,
    write_sha256sums,
)
from pipestill.io.lock import exclusive
from pipestill.models.align import Prompting, align_special_tokens, align_tokenizer
from pipestill.models.convert import convert_pickles
from pipestill.models.kinds import read_config
from pipestill.models.libraries import silence_libraries
from pipestill.models.lineage import ADAPTER, LINEAGE, is_adapter, make_lineage, read_lineage, resolve
from pipestill.models.loading import check_model, load_tokenizer
from pipestill.models.profile import profile
from pipestill.models.provide import architecture, check_complete, place, wanted
from pipestill.models.saving import tidy

VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")  # one of them makes a tokenizer
TOKENIZER = (
    *VOCABULARIES,
    *("merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"),
)
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")


def provide_checkpoint(path: Path, base: Path, directory: Path) -> None:
    """Make ``directory`` a model directory, as training leaves one, of the checkpoint in ``path``.

    Pickled weights are converted to safetensors; a checkpoint without a tokenizer gets its base model's;
    ``provenance.json`` says what was taken. A model that was trained here keeps its files, and its lineage still leads
    to its ancestors.

    Args:
        path: full weights with their config, an adapter of PEFT, or a model directory of this pipeline.
        base: directory of the base model; an adapter must belong to it.
        directory: the directory to make.

    Raises:
        UserError: the checkpoint is missing, incomplete, damaged, or does not fit its config or base model.
    """
    path, base = Path(path), Path(base)
    if not path.is_dir():
        raise UserError(f"checkpoint {path} does not exist: correct its `path` in the configuration")
    silence_libraries()
    with exclusive(directory), fresh_directory(directory) as temporary:
        if (path / LINEAGE).is_file():
            _take_own(path, base, temporary, directory)
        else:
            if (path / SHA256SUMS).is_file():
                verify_sha256sums(path)
            model, facts = (_take_adapter if is_adapter(path) else _take_weights)(path, base, temporary)
            write_json(temporary / "provenance.json", {"source": "checkpoint", "name": path.name, **facts})
            write_json(temporary / "profile.json", profile(model))
            write_json(temporary / LINEAGE, make_lineage(directory, base))
        write_sha256sums(temporary)


def _take_own(path: Path, base: Path, temporary: Path, directory: Path) -> None:
    """Copy a model directory of this pipeline; paths of its lineage are relative to where it lies."""
    resolve(path, base)
    for file in sorted(path.iterdir()):
        if file.is_file() and file.name != SHA256SUMS and not file.name.startswith("."):
            place(file, temporary / file.name)
    lineage = read_lineage(path)
    for entry in lineage["merged"]:
        moved = os.path.relpath((path / entry["path"]).resolve(), Path(directory).resolve())
        entry["path"] = Path(moved).as_posix()
    write_json(temporary / LINEAGE, lineage)


def _take_weights(path: Path, base: Path, temporary: Path) -> tuple[Any, dict[str, Any]]:
    """Full weights: checked against the architecture that their config describes."""
    for name in wanted(file.name for file in path.iterdir() if file.is_file()):
        place(path / name, temporary / name)
    converted = convert_pickles(temporary)
    check_complete(temporary, f"checkpoint {path}")
    _take_tokenizer(path, base, temporary)
    align_tokenizer(temporary, f"checkpoint {path}", read_config(path), Prompting.of(base))
    check_model(temporary, f"checkpoint {path}")
    align_special_tokens(temporary)
    return architecture(temporary), {"converted": converted}


def _take_adapter(path: Path, base: Path, temporary: Path) -> tuple[Any, dict[str, Any]]:
    """An adapter: checked against the base model's architecture."""
    weights = next((name for name in ADAPTER_WEIGHTS if (path / name).is_file()), None)
    if weights is None:
        raise UserError(f"checkpoint {path} has an {ADAPTER}, but no {' or '.join(ADAPTER_WEIGHTS)}: it is incomplete")
    for name in (ADAPTER, weights):
        place(path / name, temporary / name)
    converted = convert_pickles(temporary)
    _take_tokenizer(path, base, temporary)
    align_tokenizer(temporary, f"checkpoint {path}", read_config(base), Prompting.of(base))
    model = _check_adapter(temporary, path, base)
    tidy(temporary)
    said = read_json(temporary / ADAPTER)["base_model_name_or_path"]
    return model, {"trained_on": said, "converted": converted}


def _check_adapter(directory: Path, path: Path, base: Path) -> Any:
    """The adapter on its base model, on no device, if its weights are those that its config asks for."""
    import peft
    from safetensors import SafetensorError, safe_open

    try:
        config = peft.PeftConfig.from_pretrained(directory)
        config.inference_mode = False  # so that the profile counts what was trained
        model = peft.get_peft_model(architecture(base), config)
    except Exception as error:  # as does peft
        problem = first_line(error)
        raise UserError(f"checkpoint {path} is not an adapter for base model {base.name}: {problem}") from error
    asked = {name: tuple(tensor.shape) for name, tensor in peft.get_peft_model_state_dict(model).items()}
    try:
        with safe_open(directory / ADAPTER_WEIGHTS[0], "pt") as file:
            given = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except SafetensorError as error:
        raise UserError(f"{ADAPTER_WEIGHTS[0]} of checkpoint {path} is damaged: {error}") from None
    unfit = sorted(name for name in asked | given if asked.get(name) != given.get(name))
    if unfit:
        raise UserError(
            f"checkpoint {path} does not fit base model {base.name}: {len(unfit)} of its weights are missing, unknown "
            f"or of another shape, such as {unfit[0]}; name the base model that it was trained on"
        )
    return model


def _take_tokenizer(path: Path, base: Path, temporary: Path) -> None:
    """The checkpoint's own, else that of its base model, as it is when it is loaded there."""
    if not any((path / name).is_file() for name in VOCABULARIES):
        load_tokenizer(base).save_pretrained(temporary)
        return
    for name in TOKENIZER:
        if (path / name).is_file():
            place(path / name, temporary / name)
