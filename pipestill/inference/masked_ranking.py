"""Label ranking by masked models: how likely a model finds each label in place of the masks behind a prompt.

All labels have the same number of tokens n, so that one pass over the prompt and n masks scores them all:
score(c | x) = 1/n sum_k log p_k(t_k | x, n masks). With labels of different lengths, the number of masks would tell a
trained model the answer.
"""

from collections.abc import Container, Iterator, Sequence
from functools import partial

import torch

from pipestill.errors import UserError
from pipestill.inference.batched import score_in_batches
from pipestill.inference.devices import input_device
from pipestill.inference.label_scores import ACCELERATOR_TOKENS, CPU_TOKENS, LabelScores
from pipestill.inference.label_trie import Tokens
from pipestill.inference.loaded import Loaded
from pipestill.models.heads import answer_logits
from pipestill.models.rows import collate, masked_row


def score_at_masks(
    loaded: Loaded,
    prompts: Tokens,
    labels: Tokens,
    done: Container[int] = frozenset(),
    token_budget: int | None = None,
) -> Iterator[tuple[list[int], LabelScores]]:
    """Score ``labels`` in place of masks behind each prompt, batch by batch, longest prompts first.

    Args:
        loaded: a masked model, which is put into eval mode.
        prompts: token ids of each prompt, up to where the masks begin.
        labels: token ids of each label.
        done: indices of prompts that an earlier process has finished; batches are composed as if nothing were.
        token_budget: tokens per batch, padding included; a batch has one example at least. After an out-of-memory
            error of the accelerator it is halved. Default: by device.

    Returns:
        Iterator over (indices of the batch's prompts, their scores).

    Raises:
        UserError: labels are empty, the same, or of different lengths; a prompt is too long for the model; scores are
            not finite; or one example does not fit in memory.
    """
    masks = len(_check(loaded, prompts, labels)[0])
    loaded.model.eval()
    default = CPU_TOKENS if input_device(loaded.model).type == "cpu" else ACCELERATOR_TOKENS
    behind = len(_with_masks(loaded, [], masks)["input_ids"])
    return score_in_batches(prompts, partial(_score, loaded, labels), token_budget or default, done, behind)


def _score(loaded: Loaded, labels: Tokens, prompts: Tokens) -> LabelScores:
    return score_rows(loaded, [_with_masks(loaded, prompt, len(labels[0])) for prompt in prompts], labels)


@torch.inference_mode()
def score_rows(loaded: Loaded, rows: list[dict], labels: Tokens) -> LabelScores:
    """Scores of one batch in one pass; ``rows`` are those of :func:`~pipestill.models.rows.masked_row`."""
    batch = collate(rows, loaded.tokenizer.pad_token_id)
    device = input_device(loaded.model)
    logits = answer_logits(loaded.model, {name: values.to(device) for name, values in batch.items()})
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    log_probs = wide.log_softmax(-1).view(len(rows), len(labels[0]), -1)
    ids = torch.tensor([list(label) for label in labels], device=device)  # [labels, masks]
    tokens = torch.stack([log_probs[:, mask, ids[:, mask]] for mask in range(ids.shape[1])])
    mass = log_probs[:, 0, ids[:, 0].unique()].double().exp().sum(1)
    greedy = log_probs[:, 0].argmax(-1)[:, None] == ids[:, 0]
    return LabelScores(*(values.cpu().numpy() for values in (tokens.double().mean(0), mass, greedy)))


def _with_masks(loaded: Loaded, prompt: Sequence[int], masks: int) -> dict:
    return masked_row(loaded.tokenizer, list(prompt), [loaded.tokenizer.mask_token_id] * masks)


def _check(loaded: Loaded, prompts: Tokens, labels: Tokens) -> Tokens:
    """The labels, if the model can score them behind ``prompts``."""
    if not labels or any(len(label) == 0 for label in labels):
        raise UserError("label ranking needs labels, each of one token at least")
    if len({tuple(label) for label in labels}) < len(labels):
        raise UserError("two labels are the same tokens: give them different words")
    if len(set(map(len, labels))) > 1:
        counts = ", ".join(f"{loaded.tokenizer.decode(list(label))!r}: {len(label)}" for label in labels)
        raise UserError(
            f"the labels have different numbers of tokens ({counts}), so the number of masks would tell a masked model "
            "the answer: give them words of one length in `verbalizers` of the prompt"
        )
    limit = getattr(loaded.model.config, "max_position_embeddings", None)
    for index, prompt in enumerate(prompts):
        tokens = len(_with_masks(loaded, prompt, len(labels[0]))["input_ids"])
        if limit and tokens > limit:
            raise UserError(
                f"prompt {index} has {tokens} tokens with its masks, but the model reads at most {limit}: shorten it"
            )
    return labels
