"""Prompts of about the same length in batches, within a budget of tokens and the memory that there is."""

import math
from collections.abc import Callable, Container, Iterator, Sequence

import numpy as np
import torch

from pipestill.errors import UserError
from pipestill.inference.label_scores import LabelScores
from pipestill.inference.label_trie import Tokens


def score_in_batches(
    prompts: Tokens,
    score: Callable[[Sequence[Sequence[int]]], LabelScores],
    token_budget: int,
    done: Container[int],
    behind: int = 0,
    most: int | None = None,
    padding: float = math.inf,
) -> Iterator[tuple[list[int], LabelScores]]:
    """Scores of ``prompts``, longest first.

    Args:
        prompts: token ids.
        score: of a batch of them.
        token_budget: tokens of a batch, padding included; a batch has one prompt at least. After an out-of-memory error
            of the accelerator the batch is halved, tried again, and later ones are no larger.
        done: indices of prompts that need no scores; batches are composed as if they did.
        behind: tokens that are read behind each prompt; fewer than none where some of it are not read.
        most: prompts of a batch.
        padding: of a prompt of a batch at most, as a share of what is read of the longest.

    Returns:
        Iterator over (indices of the batch's prompts, their scores).

    Raises:
        UserError: one prompt does not fit in memory, or scores are not finite.
    """
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    start = 0
    while start < len(order):
        width = len(prompts[order[start]]) + behind
        size = max(1, min(token_budget // width, most or len(order)))
        batch = order[start : start + size]
        while len(batch) > 1 and len(prompts[batch[0]]) - len(prompts[batch[-1]]) > padding * width:
            batch.pop()
        wanted = [row for row, index in enumerate(batch) if index not in done]
        if wanted:
            try:
                scores = score([prompts[index] for index in batch])
            except torch.OutOfMemoryError:
                scores = None  # try again outside of this block, where the failed pass no longer holds its tensors
            if scores is None:
                if len(batch) == 1:
                    raise UserError(
                        f"prompt {batch[0]} ({len(prompts[batch[0]])} tokens) does not fit in the accelerator's "
                        "memory: shorten it or use a smaller or quantised model"
                    )
                torch.cuda.empty_cache()
                token_budget = len(batch) // 2 * width
                continue
            if not np.isfinite(scores.mean_log_prob).all():
                raise UserError(f"the model's scores of prompt {batch[0]} are not finite: use bfloat16 or float32")
            yield [batch[row] for row in wanted], scores.of(wanted)
        start += len(batch)
