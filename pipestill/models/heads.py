"""A language model taken apart into decoder and head, for losses that never hold all logits."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

from pipestill.losses import IGNORED

PROBE_TOKENS = 2
PROBE_LOGIT = 100.0  # far beyond any cap on logits


def predicting(labels: torch.Tensor) -> torch.Tensor:
    """Mask [batch, seq] of the positions whose next token has a label, which the model predicts there."""
    mask = (labels != IGNORED).roll(-1, dims=1)
    mask[:, -1] = False
    return mask


def predicted(labels: torch.Tensor) -> torch.Tensor:
    """The labels [supervised] that these positions predict, row by row."""
    return labels[:, 1:][predicting(labels)[:, :-1]]


def answer_logits(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Logits where the next token has a label, row by row; the head is evaluated nowhere else.

    Args:
        model: with an adapter or without; a causal one takes a mask as ``logits_to_keep``. A masked one has its mask
            where the label is predicted.
        batch: of :func:`~pipestill.models.rows.collate`.

    Returns:
        [supervised, vocab].
    """
    positions = predicting(batch["labels"])
    if not _keeps_logits(model):
        return _with_head_at(model, batch, lambda states: states[positions])
    return model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        logits_to_keep=positions,
        use_cache=False,
    ).logits


def hidden_states(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Last hidden states [supervised, hidden] where the next token has a label, row by row, as the head reads them.

    Args:
        model: a language model of any kind, with an adapter or without.
        batch: of :func:`~pipestill.models.rows.collate`.
    """
    if not _keeps_logits(model):
        positions, read = predicting(batch["labels"]), []

        def keep(states: torch.Tensor) -> torch.Tensor:
            read.append(states[positions])
            return read[0][:0]  # the head has nothing to do

        _with_head_at(_plain(model), batch, keep)
        return read[0]
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

    tokens = {"input_ids": torch.arange(PROBE_TOKENS, device=head.weight.device)[None]}
    if plain.config.is_encoder_decoder:
        tokens["decoder_input_ids"] = tokens["input_ids"]
    was_training = plain.training
    plain.eval()
    handle = head.register_forward_hook(exchange)
    try:
        logits = plain(**tokens, **_uncached(plain)).logits
    finally:
        handle.remove()
    hidden = inputs[0]  # which hidden_states takes, so T5's scale of them is in it, and BERT's layer before the head
    if _keeps_logits(plain):
        hidden = plain.get_decoder()(**tokens, use_cache=False).last_hidden_state
    plain.train(was_training)
    same = torch.equal(logits.float(), outputs[0].float()) and torch.equal(hidden, inputs[0])
    return head if same else None


def _with_head_at(
    model: Any, batch: Mapping[str, torch.Tensor], keep: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Logits of a model whose head reads what ``keep`` makes of the hidden states [batch, seq, hidden].

    For encoder-decoders and masked models, which have no ``logits_to_keep``. Selecting right before the head keeps what
    stands between the last layer and the head (T5 scales by ``d_model ** -0.5`` where the head is tied, BERT has a
    layer there) and what comes after it (Marian's bias).
    """
    plain = _plain(model)
    head = plain.get_output_embeddings()
    handle = head.register_forward_pre_hook(lambda module, arguments: (keep(arguments[0]),))
    read = {name: batch[name] for name in ("input_ids", "attention_mask", "decoder_input_ids") if name in batch}
    try:
        return model(**read, **_uncached(plain)).logits
    finally:
        handle.remove()


def _keeps_logits(model: Any) -> bool:
    """Whether a model can be told at which positions logits are wanted, as causal ones can."""
    return "logits_to_keep" in inspect.signature(_plain(model).forward).parameters


def _uncached(plain: Any) -> dict[str, bool]:
    """What tells a model to keep no keys and values; masked models have none."""
    return {"use_cache": False} if "use_cache" in inspect.signature(plain.forward).parameters else {}


def _plain(model: Any) -> Any:
    """The model below its adapter, whose layers it holds."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
