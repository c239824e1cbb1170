"""Label ranking: how likely a causal model finds each label behind a prompt, in one forward pass per batch.

A batch row is ``[prompt | proper prefixes of the labels]``. Prompts are padded on the left, so that the positions whose
logits are needed stand in the same last columns of every row; a 4-D mask lets each trie node see its prompt and its
ancestors only. What all prompts begin with is read once, and its keys and values are lent to every batch.
"""

import inspect
import math
from collections.abc import Container, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipestill.errors import UserError
from pipestill.inference.batched import score_in_batches
from pipestill.inference.devices import input_device
from pipestill.inference.label_scores import ACCELERATOR_TOKENS, CPU_TOKENS, LabelScores, gather
from pipestill.inference.label_trie import LabelTrie, Tokens, build_trie, layout
from pipestill.inference.last_columns import last_columns
from pipestill.inference.prefix import MIN_PREFIX, KeptPrefix, common_prefix_length, read_prefix

if TYPE_CHECKING:
    from pipestill.inference.cache import SharedPrefix

MAX_LOGIT_ROWS = 1024  # bounds the memory of the logits, which the token budget knows nothing of
KEPT_TOKENS, PADDING = 4096, 0.25  # of batches behind a kept prefix, on a CPU: few steps, and little padding in them
MASKS = {"sdpa": "bool", "eager": "additive"}  # attention implementations that take any 4-D mask


def score_all_labels(
    model: torch.nn.Module,
    prompts: Tokens,
    labels: Tokens,
    *,
    token_budget: int | None = None,
) -> LabelScores:
    """Scores of all ``prompts`` at once; see :func:`score_labels`."""
    return gather(score_labels(model, prompts, labels, token_budget=token_budget), len(prompts), len(labels))


def score_labels(
    model: torch.nn.Module,
    prompts: Tokens,
    labels: Tokens,
    *,
    token_budget: int | None = None,
    done: Container[int] = frozenset(),
    kept: KeptPrefix | None = None,
) -> Iterator[tuple[list[int], LabelScores]]:
    """Score ``labels`` behind each prompt, batch by batch, longest prompts first.

    Args:
        model: a transformers causal model (or peft or quantised one) with ``sdpa`` or ``eager`` attention; it is put
            into eval mode.
        prompts: token ids of each prompt, chat template included.
        labels: token ids of each label.
        token_budget: tokens per batch, padding included; those of the common prefix, of which a batch needs keys and
            values only, count a quarter. A batch has one example at least. After an out-of-memory error of the
            accelerator the batch is halved, tried again, and later ones are no larger. Default: by device.
        done: indices of prompts that an earlier process has finished. Batches are composed as if nothing were, so
            that a resumed run gives the same bits as one that was not stopped.
        kept: common prefix of this call and earlier ones, in place of this one's own; scores are the same but for
            rounding, the last layer reads no more than they need, and batches are of prompts of about one length.

    Returns:
        Iterator over (indices of the batch's prompts, their scores).

    Raises:
        UserError: a prompt or label is empty, two labels are the same, a prompt is too long for the model, the model
            cannot be given such a mask, its output is not finite, or one example does not fit in memory.
    """
    trie = build_trie(labels)
    check_prompts(model, prompts, trie)
    model.eval()
    on_cpu = input_device(model).type == "cpu"
    default = ACCELERATOR_TOKENS if not on_cpu else CPU_TOKENS if kept is None else KEPT_TOKENS
    return _score_labels(model, prompts, trie, token_budget or default, done, kept)


def _score_labels(
    model: torch.nn.Module,
    prompts: Tokens,
    trie: LabelTrie,
    token_budget: int,
    done: Container[int],
    kept: KeptPrefix | None,
) -> Iterator[tuple[list[int], LabelScores]]:
    if kept is None:
        shared = common_prefix_length(prompts)
        cache = read_prefix(model, prompts[0][:shared]) if shared >= MIN_PREFIX else None
    else:
        cache = kept.of(model, prompts)
    shared = cache.get_seq_length() if cache else 0

    nodes = len(trie.tokens)

    def score(batch: Tokens) -> LabelScores:
        with nullcontext() if kept is None else last_columns(model, 1 + nodes):
            return score_batch(model, [prompt[shared:] for prompt in batch], trie, shared, cache)

    behind = nodes + shared // 4 - shared
    most, padding = MAX_LOGIT_ROWS // (1 + nodes), math.inf if kept is None else PADDING
    yield from score_in_batches(prompts, score, token_budget, done, behind, most, padding)


def check_prompts(model: torch.nn.Module, prompts: Tokens, trie: LabelTrie) -> None:
    """Raise :class:`UserError` if ``model`` cannot score ``prompts`` exactly."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    accepted = inspect.signature(inner.forward).parameters
    if not {"position_ids", "past_key_values", "logits_to_keep"} <= set(accepted):
        raise UserError(
            f"{type(inner).__name__} takes no position_ids, past_key_values and logits_to_keep: "
            "label ranking needs a causal model with standard attention"
        )
    config = inner.config.get_text_config(decoder=True)
    if config._attn_implementation not in MASKS:
        raise UserError(
            f"label ranking cannot mask {config._attn_implementation!r} attention: load the model with "
            f"attn_implementation set to {' or '.join(map(repr, MASKS))}"
        )
    limits = [getattr(config, name, None) for name in ("max_position_embeddings", "sliding_window")]
    limit = min((limit for limit in limits if limit), default=None)
    depth = 1 + max(trie.depths, default=-1)
    for index, prompt in enumerate(prompts):
        if len(prompt) == 0:
            raise UserError(f"prompt {index} has no tokens: a label is ranked behind at least one")
        if limit and len(prompt) + depth > limit:
            raise UserError(
                f"prompt {index} has {len(prompt)} tokens and the longest label {depth + 1}, but the model reads at "
                f"most {limit}: shorten the prompt"
            )


@torch.inference_mode()
def score_batch(
    model: torch.nn.Module, prompts: Tokens, trie: LabelTrie, shared: int = 0, cache: "SharedPrefix | None" = None
) -> LabelScores:
    """Scores of one batch in one forward pass; ``prompts`` come without their ``shared`` first tokens."""
    device = input_device(model)
    ids, positions, visible = layout(prompts, trie, shared)
    output = model(
        input_ids=ids.to(device),
        position_ids=positions.to(device),
        attention_mask=_as_mask(visible.to(device), model),
        past_key_values=cache,
        use_cache=cache is not None,
        logits_to_keep=1 + len(trie.tokens),
    )
    edges = _edge_log_probs(output.logits, trie)
    mean_log_prob = np.stack([edges[:, list(path)].mean(axis=1) for path in trie.paths], axis=1)
    label_mass = np.exp(edges[:, : trie.first_edges]).sum(axis=1)
    likeliest = output.logits[:, 0].argmax(dim=-1).cpu().numpy()
    return LabelScores(mean_log_prob, label_mass, likeliest[:, None] == np.array(trie.first_tokens), shared)


def _as_mask(visible: torch.Tensor, model: torch.nn.Module) -> torch.Tensor:
    """The mask in the form that the model's attention takes: boolean, or added to the attention scores."""
    if MASKS[model.config.get_text_config(decoder=True)._attn_implementation] == "bool":
        return visible
    dtype = model.get_input_embeddings().weight.dtype
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill(~visible, torch.finfo(dtype).min)


def _edge_log_probs(logits: torch.Tensor, trie: LabelTrie) -> np.ndarray:
    """Log-probability of every edge, ``[batch, edges]`` float64, from ``logits`` ``[batch, nodes, vocab]``."""
    columns, dtype = [], torch.promote_types(logits.dtype, torch.float32)
    for node in range(logits.shape[1]):  # one node at a time: the wide copy stays small
        tokens = [token for parent, token in trie.edges if parent == node]
        row = logits[:, node].to(dtype)
        columns.append(row[:, tokens] - row.logsumexp(dim=-1, keepdim=True))
    return torch.cat(columns, dim=1).cpu().double().numpy()
