"""Tokenizers and models from local directories: checksums first, safetensors only, as the hardware plan says."""

import logging
import os
import sys
from contextlib import nullcontext, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipestill.errors import UserError, first_line
from pipestill.io.weights import load_whole
from pipestill.models.adapters import load_adapter
from pipestill.models.chat_template import tell_time
from pipestill.models.classifiers import with_head
from pipestill.models.hardware import HardwarePlan
from pipestill.models.kinds import CLASSIFIER, auto_class, kind_of, read_config, reading
from pipestill.models.libraries import silence_libraries
from pipestill.models.lineage import LABELS, read_lineage, resolve, verify

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)
SPLITS = ["Age: 23.0, x_y\n\n  It's (an) e\u0301té, naïve 日本!", "</div>\t\tif x == 1e-5:\r\n    return"]


def load_tokenizer(
    directory: Path, *, padding_side: Literal["left", "right"] = "right", day: str | None = None
) -> "PreTrainedTokenizerBase":
    """The tokenizer of a model directory, without any network.

    Its end-of-sequence token pads where no other does, its separator ends a sequence where no other does, and its chat
    template is a text, which reads no clock.

    Args:
        directory: of the model.
        padding_side: where batches are padded.
        day: that a chat template is told, see :func:`~pipestill.models.chat_template.tell_time`.

    Raises:
        UserError: the directory holds no tokenizer, or one without an end-of-sequence token, offsets or a default
            template.
    """
    from transformers import AutoTokenizer

    _need_directory(directory)
    try:
        tokenizer = _as_filed(AutoTokenizer, directory, local_files_only=True, padding_side=padding_side)
    except (OSError, ValueError) as error:
        raise UserError(f"{directory} holds no tokenizer that transformers can read: {first_line(error)}") from error
    if not tokenizer.is_fast:
        raise UserError(f"the tokenizer of {directory} has no tokenizer.json: convert it to a fast tokenizer")
    if tokenizer.eos_token_id is None:
        tokenizer.eos_token = tokenizer.sep_token
    if tokenizer.eos_token_id is None:
        raise UserError(f"the tokenizer of {directory} has no end-of-sequence token: set eos_token in its config")
    if tokenizer.pad_token_id is None:
        logger.warning("the tokenizer of %s has no padding token: using its end-of-sequence token", directory)
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.chat_template:
        try:
            tokenizer.chat_template = tell_time(tokenizer.get_chat_template(), day)
        except ValueError as error:
            raise UserError(f"the chat templates of {directory} have no default: {first_line(error)}") from error
    return tokenizer


def load_base_model(
    directory: Path, plan: HardwarePlan, *, training: bool = False, attn_implementation: str = "sdpa"
) -> "PreTrainedModel":
    """The model of ``directory`` on the plan's device, in eval mode.

    Args:
        directory: full weights in safetensors with a ``SHA256SUMS``.
        plan: number format, quantisation and device.
        training: hold weights as training needs them (``plan.weights``) and switch the key-value cache off; otherwise
            hold them as they are computed with.
        attn_implementation: of transformers; sdpa takes the 4-D masks of label ranking.

    Raises:
        UserError: missing, damaged, not in safetensors, or too large for the device.
    """
    check_directory(directory)
    return _load_weights(Path(directory), plan, training, attn_implementation)


def load_trained_model(
    model_dir: Path,
    base_dir: Path,
    plan: HardwarePlan,
    *,
    merge: bool = False,
    training: bool = False,
    attn_implementation: str = "sdpa",
) -> Any:
    """A trained model: its full weights, or its base with every merged ancestor and its own adapter on it.

    Args:
        model_dir: the trained model, with its ``lineage.json``.
        base_dir: the base model that it was trained on.
        plan: the plan that it was trained with.
        merge: merge its own adapter too and return a plain model: to start another training from it, or for speed.
        training: as in :func:`load_base_model`.
        attn_implementation: as in :func:`load_base_model`.

    Returns:
        A ``PeftModel`` for an unmerged adapter, else a ``PreTrainedModel``; in eval mode.

    Raises:
        UserError: an ancestor is missing, damaged, or not the one that the model was trained on.
    """
    weights, adapters = resolve(Path(model_dir), Path(base_dir))
    check_weights(weights)
    model = _load_weights(weights, plan, training, attn_implementation)
    if not adapters:
        return model
    for adapter in adapters:
        if labels := read_lineage(adapter).get(LABELS):
            model, _ = with_head(model, labels)  # the adapter has the head
        model = load_adapter(model, adapter)
        if merge or adapter != adapters[-1]:
            model = model.merge_and_unload(safe_merge=True)
    return model.eval()


def check_directory(directory: Path) -> str:
    """Check the weights' format and the checksums of a model directory; returns the digest of its ``SHA256SUMS``."""
    _need_directory(directory)
    check_weights(Path(directory))
    return verify(directory)


def check_weights(directory: Path) -> None:
    """Refuse a directory without full weights in safetensors.

    Raises:
        UserError: with the way out.
    """
    if any(Path(directory).glob("model*.safetensors")):
        return
    pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.pkl") for path in directory.glob(pattern))
    if pickles:
        raise UserError(
            f"{directory} holds weights as a pickle ({pickles[0]}), which could run code: name it under `models:` in "
            "the configuration, and the base_model rule converts it to safetensors once"
        )
    raise UserError(f"{directory} holds no weights (model.safetensors): make or download the model again")


def check_model(directory: Path, what: str) -> None:
    """Refuse weights that are not those that their config asks for; nothing is read but their names and shapes.

    Raises:
        UserError: says ``what`` is wrong, and names the weights.
    """
    silence_libraries()
    load_whole(auto_class(kind_of(read_config(directory))), directory, what, device_map="meta")


def special_tokens(tokenizer: "PreTrainedTokenizerBase", eos: int | list[int] | None) -> dict[str, Any]:
    """PAD and EOS of a config or generation config, as the tokenizer has them; its further ends (``eos``) are kept."""
    ends = list(dict.fromkeys([tokenizer.eos_token_id, *([eos] if isinstance(eos, int) else eos or [])]))
    return {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": ends if len(ends) > 1 else ends[0]}


def _as_filed(loader: Any, directory: Path, **arguments: Any) -> "PreTrainedTokenizerBase":
    """A tokenizer that splits text as its ``tokenizer.json`` says.

    For some architectures, transformers splits as the first models of it did, whatever the file says.
    """
    from transformers import PreTrainedTokenizerFast

    tokenizer = loader.from_pretrained(directory, **arguments)
    if type(tokenizer) is PreTrainedTokenizerFast or not (Path(directory) / "tokenizer.json").is_file():
        return tokenizer
    filed = PreTrainedTokenizerFast.from_pretrained(directory, **arguments)
    found, wanted = (each(SPLITS, add_special_tokens=False)["input_ids"] for each in (tokenizer, filed))
    return tokenizer if found == wanted else filed


def _load_weights(directory: Path, plan: HardwarePlan, training: bool, attn_implementation: str) -> "PreTrainedModel":
    import torch
    import transformers

    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()  # bars are for terminals
    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    config = read_config(directory)
    quantised = hasattr(config, "quantization_config")  # exact in float32 only, in which it was made
    precision = "fp32" if quantised else plan.weights if training else plan.precision
    arguments: dict[str, Any] = {"dtype": dtypes[precision]}
    if plan.quantization == "nf4" and not quantised:
        arguments["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtypes[plan.precision],
        )
        arguments["device_map"] = {"": plan.device}
    if plan.offload_folder:
        arguments |= {"device_map": "auto", "offload_folder": plan.offload_folder}
    loader = auto_class(kind_of(config))
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere) if quantised else nullcontext():  # bars
        model = load_whole(loader, directory, str(directory), attn_implementation=attn_implementation, **arguments)
        if hasattr(model, "ct_decompress_hook"):  # else the first pass would unpack the weights
            model.hf_quantizer.compressor.decompress_model(model)
    reading(model.config)
    places = {str(place) for place in getattr(model, "hf_device_map", {}).values()}
    if training and plan.offload_folder and places & {"cpu", "disk"}:
        raise UserError(
            f"{directory} does not fit on the GPU, and offloaded weights cannot be trained: use `quantization: nf4`, a "
            "smaller model or a larger GPU"
        )
    for module in model.modules():
        # On processors with avx512_bf16, bitsandbytes repacks weights in the first pass in eval mode, for good: then
        # training that goes on after an evaluation fails, and so do layers with inputs that are no multiple of 64.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    if "device_map" not in arguments:
        model.to(plan.device)
    if plan.device == "cpu":
        from pipestill.losses.products import use_faster_products

        use_faster_products(model)
    tokenizer = load_tokenizer(directory)
    for config in filter(None, (model.config, getattr(model, "generation_config", None))):
        for key, value in special_tokens(tokenizer, config.eos_token_id).items():
            setattr(config, key, value)
    model.config.use_cache = not training and kind_of(model.config) != CLASSIFIER
    return model


def _need_directory(directory: Path) -> None:
    if not Path(directory).is_dir():
        raise UserError(
            f"model directory {directory} does not exist: check the path, or make it by the base_model rule"
        )
