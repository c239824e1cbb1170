"""Classifiers: the body of a language model under a head for labels, whose states they take at one token.

Transformers says which token that is: of a causal model the last one that does not pad, of a masked one the first.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipestill.errors import UserError, first_line
from pipestill.models.kinds import BODY, CLASSIFIER, auto_class, kind_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def with_head(
    model: "PreTrainedModel", labels: Sequence[str], dtype: "torch.dtype | None" = None
) -> tuple["PreTrainedModel", list[str]]:
    """The body of ``model`` under a fresh head for ``labels``.

    The start of the head is drawn from torch's global generator: seed it before. Layers between body and head, such as
    BERT's pooler, are part of the head where a language model has none.

    Args:
        model: a language model; its body becomes that of the classifier, quantised or not.
        labels: in the order of the head's logits.
        dtype: of the head; by default that of the model.

    Returns:
        The classifier, and the names of its modules that are new.

    Raises:
        UserError: transformers has no classifier of this architecture.
    """
    import torch

    config = model.config
    numbers = {label: number for number, label in enumerate(labels)}
    config.update({"id2label": dict(enumerate(labels)), "label2id": numbers, BODY: kind_of(config)})
    try:
        with torch.device("meta"):  # only the head is made, below
            classifier = auto_class(CLASSIFIER).from_config(config, attn_implementation=config._attn_implementation)
    except ValueError as error:
        raise UserError(
            f"transformers has no classifier of the architecture {config.model_type} ({first_line(error)}): use a "
            "method that trains language models"
        ) from error
    classifier.config.architectures = [type(classifier).__name__]
    classifier.config.use_cache = False  # a classifier reads every text once
    body = classifier.base_model_prefix
    taken = _take(getattr(model, body), getattr(classifier, body))
    parts = [name for name, _ in classifier.named_children() if name != body]
    parts += [f"{body}.{name}" for name, _ in getattr(classifier, body).named_children() if name not in taken]
    new = [name for name in sorted(parts) if any(True for _ in classifier.get_submodule(name).parameters())]
    for name in new:
        head = classifier.get_submodule(name).to_empty(device=model.get_input_embeddings().weight.device)
        head.to(dtype or model.dtype).apply(classifier._init_weights)
    for name in ("hf_quantizer", "is_loaded_in_4bit", "is_quantized", "quantization_method", "hf_device_map"):
        if hasattr(model, name):
            setattr(classifier, name, getattr(model, name))
    return classifier.eval(), new


def labels_of(model: Any) -> list[str]:
    """The labels of a classifier, with an adapter or without, in the order of its logits."""
    return [model.config.id2label[number] for number in range(model.config.num_labels)]


def _take(source: "torch.nn.Module", target: "torch.nn.Module") -> set[str]:
    """Give ``target`` the parts of ``source``; returns the names of the modules."""
    found = dict(source.named_children())
    for name, module in found.items():
        setattr(target, name, module)
    for name, tensor in source.named_parameters(recurse=False):
        setattr(target, name, tensor)
    for name, tensor in source.named_buffers(recurse=False):
        setattr(target, name, tensor)
    return set(found)
