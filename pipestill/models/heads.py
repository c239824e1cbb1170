"""A causal language model taken apart into decoder and head, for losses that never hold all logits."""

from collections.abc import Mapping
from typing import Any

import torch

from pipestill.models.rows import IGNORED

PROBE_TOKENS = 2
PROBE_LOGIT = 100.0  # far beyond any cap on logits


def predicting(labels: torch.Tensor) -> torch.Tensor:
    """Mask [batch, seq] of the positions whose next token has a label: what the model says there predicts it."""
    mask = (labels != IGNORED).roll(-1, dims=1)
    mask[:, -1] = False
    return mask


def predicted(labels: torch.Tensor) -> torch.Tensor:
    """The labels [supervised] that these positions predict, row by row."""
    return labels[:, 1:][predicting(labels)[:, :-1]]


def hidden_states(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Last hidden states [supervised, hidden] where the next token has a label, row by row.

    Args:
        model: a causal language model, with an adapter or without.
        batch: ``input_ids``, ``attention_mask``, ``labels``, each [batch, seq].
    """
    decoder = _plain(model).get_decoder()
    output = decoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False)
    return output.last_hidden_state[predicting(batch["labels"])]


@torch.no_grad()
def linear_head(model: Any) -> torch.nn.Linear | None:
    """The head, if the model's logits are nothing but this linear map of the decoder's last hidden states.

    One forward pass of the model shows it, in which the head's output is exchanged for large numbers: they must come
    out as they are. Caps and scales of logits, scaled hidden states and adapters on the head are so found in any
    architecture.
    """
    plain = _plain(model)
    head = plain.get_output_embeddings()
    if type(head) is not torch.nn.Linear or head.weight.is_meta:
        return None
    inputs, outputs = [], []

    def exchange(module, arguments, output):
        inputs.append(arguments[0])
        outputs.append(torch.linspace(-PROBE_LOGIT, PROBE_LOGIT, output.shape[-1]).to(output).expand_as(output))
        return outputs[0]

    tokens = {"input_ids": torch.arange(PROBE_TOKENS, device=head.weight.device)[None], "use_cache": False}
    was_training = plain.training
    plain.eval()
    handle = head.register_forward_hook(exchange)
    try:
        logits = plain(**tokens).logits
    finally:
        handle.remove()
    hidden = plain.get_decoder()(**tokens).last_hidden_state
    plain.train(was_training)
    same = torch.equal(logits.float(), outputs[0].float()) and torch.equal(hidden, inputs[0])
    return head if same else None


def _plain(model: Any) -> Any:
    """The model below its adapter, whose layers it holds."""
    return model.get_base_model() if hasattr(model, "peft_config") else model
