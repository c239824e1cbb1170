"""Label ranking by masked models: how likely a model finds each label behind a prompt, in place of masks.

A label of n tokens is read as n masks, and its tokens are all predicted at once: score(c | x) = 1/n sum_k
log p_k(t_k | x, n masks). Labels of one length share a pass, and those of other lengths take one each, so that scores
of labels of different lengths come from different questions: a prior that is fitted on validation rows evens that out.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from pipestill.errors import UserError
from pipestill.inference.devices import input_device
from pipestill.inference.label_trie import Tokens
from pipestill.inference.loaded import Loaded
from pipestill.inference.ranking import ACCELERATOR_TOKENS, CPU_TOKENS, LabelScores
from pipestill.losses import IGNORED
from pipestill.models.heads import answer_logits
from pipestill.models.rows import collate, masked_row


def score_at_masks(
    loaded: Loaded,
    prompts: Tokens,
    labels: Tokens,
    done: Container[int] = frozenset(),
    token_budget: int | None = None,
) -> Iterator[tuple[list[int], LabelScores]]:
    """Score ``labels`` behind each prompt, batch by batch, longest prompts first.

    ``label_mass`` is the probability that the first mask is a token that a label of the fewest tokens begins with.

    Args:
        loaded: a masked model.
        prompts: token ids of each prompt, up to where the masks begin.
        labels: token ids of each label.
        done: indices of prompts that need no scores; batches are composed as if they did.
        token_budget: tokens per batch, padding included. Default: by device.

    Returns:
        Iterator over (indices of the batch's prompts, their scores).

    Raises:
        UserError: a label is empty, two labels are the same, a prompt is too long for the model, or scores are not
            finite.
    """
    _check(loaded, prompts, labels)
    loaded.model.eval()
    default = CPU_TOKENS if input_device(loaded.model).type == "cpu" else ACCELERATOR_TOKENS
    return _score(_Masks(loaded, [list(label) for label in labels]), prompts, done, token_budget or default)


def _score(
    masks: "_Masks", prompts: Tokens, done: Container[int], token_budget: int
) -> Iterator[tuple[list[int], LabelScores]]:
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    start = 0
    while start < len(order):
        size = max(1, token_budget // (len(prompts[order[start]]) + masks.behind))
        batch = order[start : start + size]
        wanted = [row for row, index in enumerate(batch) if index not in done]
        if wanted:
            try:
                scores = masks([prompts[index] for index in batch])
            except torch.OutOfMemoryError:
                scores = None  # try again outside of this block, where the failed pass no longer holds its tensors
            if scores is None:
                if len(batch) == 1:
                    raise UserError(
                        f"prompt {batch[0]} ({len(prompts[batch[0]])} tokens) does not fit in the accelerator's memory: "
                        "shorten it or use a smaller model"
                    )
                torch.cuda.empty_cache()
                token_budget = token_budget // 2
                continue
            if not np.isfinite(scores.mean_log_prob).all():
                raise UserError(f"the model's scores of prompt {batch[0]} are not finite: use bfloat16 or float32")
            yield [batch[row] for row in wanted], LabelScores(scores.mean_log_prob[wanted], scores.label_mass[wanted])
        start += len(batch)


@dataclass(frozen=True)
class _Masks:
    """Scores of batches of prompts.

    Attributes:
        loaded: a masked model.
        labels: token ids of each label.
    """

    loaded: Loaded
    labels: list[list[int]]

    @property
    def behind(self) -> int:
        """Tokens behind a prompt at most."""
        return len(masked_row(self.loaded.tokenizer, [], max(self.labels, key=len))["input_ids"])

    @torch.inference_mode()
    def __call__(self, prompts: Tokens) -> LabelScores:
        """Scores of the labels, those of each length in a pass of their own."""
        mean_log_prob = np.empty((len(prompts), len(self.labels)))
        lengths = sorted({len(label) for label in self.labels})
        for length in lengths:
            columns = [column for column, label in enumerate(self.labels) if len(label) == length]
            log_probs = self._log_probs(prompts, length)
            for column in columns:
                ids = torch.tensor(self.labels[column], device=log_probs.device)
                own = log_probs[:, torch.arange(length, device=ids.device), ids]
                mean_log_prob[:, column] = own.double().mean(1).cpu().numpy()
            if length == lengths[0]:
                first = torch.tensor(sorted({self.labels[column][0] for column in columns}), device=log_probs.device)
                label_mass = log_probs[:, 0, first].double().exp().sum(1).cpu().numpy()
        return LabelScores(mean_log_prob, label_mass)

    def _log_probs(self, prompts: Tokens, masks: int) -> torch.Tensor:
        """Log-probabilities [prompts, masks, vocab] at ``masks`` masks behind each prompt."""
        tokenizer = self.loaded.tokenizer
        rows = [masked_row(tokenizer, list(prompt), [tokenizer.mask_token_id] * masks) for prompt in prompts]
        batch = collate(rows, tokenizer.pad_token_id)
        device = input_device(self.loaded.model)
        logits = answer_logits(self.loaded.model, {name: values.to(device) for name, values in batch.items()})
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return wide.log_softmax(-1).view(len(prompts), masks, -1)


def _check(loaded: Loaded, prompts: Tokens, labels: Tokens) -> None:
    """Raise :class:`UserError` if the model cannot score ``prompts``."""
    if not labels or any(len(label) == 0 for label in labels):
        raise UserError("label ranking needs labels, each of one token at least")
    if len({tuple(label) for label in labels}) < len(labels):
        raise UserError("two labels have the same tokens, so nothing can tell them apart")
    limit = getattr(loaded.model.config, "max_position_embeddings", None)
    longest = max(labels, key=len)
    for index, prompt in enumerate(prompts):
        tokens = len(masked_row(loaded.tokenizer, list(prompt), list(longest))["input_ids"])
        if limit and tokens > limit:
            raise UserError(
                f"prompt {index} takes {tokens} tokens with the masks of the longest label, but the model reads at most "
                f"{limit}: shorten the prompt"
            )
