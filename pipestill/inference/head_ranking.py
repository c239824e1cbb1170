"""Label ranking by a classifier: its head says how likely each label is, whatever words stand for them.

score(c | x) = log softmax(logits)_c over the labels, so the labels have all of the probability: their mass is 1.
"""

from collections.abc import Container, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from pipestill.errors import UserError
from pipestill.inference.batched import score_in_batches
from pipestill.inference.devices import input_device
from pipestill.inference.label_scores import ACCELERATOR_TOKENS, CPU_TOKENS, LabelScores
from pipestill.inference.label_trie import Tokens
from pipestill.inference.loaded import Loaded
from pipestill.models.classifiers import labels_of
from pipestill.models.rows import pad_prompts
from pipestill.models.text_encoder import text_encoder


def score_by_head(
    loaded: Loaded,
    prompts: Tokens,
    labels: Sequence[str],
    done: Container[int] = frozenset(),
    token_budget: int | None = None,
) -> Iterator[tuple[list[int], LabelScores]]:
    """Score ``labels`` for each prompt, batch by batch, longest prompts first.

    Args:
        loaded: a classifier.
        prompts: token ids of each prompt, without what ends a text.
        labels: in the order of the scores; those of its head, in any order.
        done: indices of prompts that need no scores; batches are composed as if they did.
        token_budget: tokens per batch, padding included. Default: by device.

    Returns:
        Iterator over (indices of the batch's prompts, their scores).

    Raises:
        UserError: its head is for other labels, a prompt does not fit in memory, or scores are not finite.
    """
    own = labels_of(loaded.model)
    if sorted(own) != sorted(labels):
        raise UserError(
            f"the model is a classifier of {', '.join(own)}, and is asked about {', '.join(labels)}: train it on this "
            "task"
        )
    loaded.model.eval()
    closing = text_encoder(loaded.tokenizer).closing
    default = CPU_TOKENS if input_device(loaded.model).type == "cpu" else ACCELERATOR_TOKENS
    score = partial(_score, loaded, columns=[own.index(label) for label in labels])
    return score_in_batches([[*prompt, *closing] for prompt in prompts], score, token_budget or default, done)


@torch.inference_mode()
def _score(loaded: Loaded, prompts: Tokens, columns: list[int]) -> LabelScores:
    device = input_device(loaded.model)
    batch = pad_prompts(prompts, loaded.tokenizer.pad_token_id)
    logits = loaded.model(**{name: values.to(device) for name, values in batch.items()}).logits
    scores = logits.double().log_softmax(-1)[:, columns].cpu().numpy()
    return LabelScores(scores, np.ones(len(prompts)), scores == scores.max(axis=1, keepdims=True))
