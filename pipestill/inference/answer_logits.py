"""What a model says about the supervised tokens of rows: logits in chunks, the head evaluated nowhere else."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from pipestill.errors import UserError
from pipestill.inference.devices import input_device
from pipestill.losses import CHUNK
from pipestill.models.heads import answer_logits, hidden_states, linear_head
from pipestill.models.rows import Row, collate, supervised

BATCH_TOKENS = 8192  # on an accelerator


class AnswerLogits:
    """Logits of a model where the tokens of answers are predicted.

    Args:
        model: a causal language model or an encoder-decoder, in eval mode.
        pad_token_id: fills short rows of a batch.
        vocab_size: ids of the shared tokenizer; padding of the head beyond them is cut.
    """

    def __init__(self, model: Any, pad_token_id: int, vocab_size: int):
        self.model, self.pad_token_id, self.vocab_size = model, pad_token_id, vocab_size
        self.head = linear_head(model)

    @torch.no_grad()
    def __call__(self, rows: Sequence[Row]) -> Iterator[tuple[int, int, Tensor]]:
        """Index of a row, index of the first token among its supervised ones, logits [tokens, vocab] in float32.

        Args:
            rows: with ``input_ids`` and ``labels``; read in one batch.

        Raises:
            UserError: the head is smaller than the vocabulary.
        """
        batch = collate(rows, self.pad_token_id)
        batch = {name: values.to(input_device(self.model)) for name, values in batch.items()}
        if self.head is not None:
            states, head = hidden_states(self.model, batch), self.head
        else:  # logits that are more than a linear map can be had from the whole model only
            states, head = answer_logits(self.model, batch), torch.nn.Identity()
            states = states.reshape(-1, states.shape[-1])
        end = 0
        for index, row in enumerate(rows):
            start, end = end, end + len(supervised(row["labels"]))
            for first in range(start, end, CHUNK):
                logits = head(states[first : min(first + CHUNK, end)])
                if logits.shape[1] < self.vocab_size:
                    raise UserError(
                        f"the model's head has {logits.shape[1]} rows, but its tokenizer {self.vocab_size} ids: the "
                        "model's directory mixes files of two models"
                    )
                yield index, first - start, logits[:, : self.vocab_size].float()


def batches(rows: Sequence[Row], device: str) -> list[list[Row]]:
    """Rows of similar length together; on a CPU each by itself, so that what is computed does not depend on others.

    There it takes about as long as the best batches do, for it has no padding; see ``docs/distributions.md``.
    """
    rows = sorted(rows, key=lambda row: len(row["input_ids"]), reverse=True)
    if device == "cpu":
        return [[row] for row in rows]
    found: list[list[Row]] = []
    for row in rows:
        if found and (len(found[-1]) + 1) * len(found[-1][0]["input_ids"]) <= BATCH_TOKENS:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def check_lengths(model: Any, rows: Sequence[Row]) -> None:
    """Refuse rows that are longer than the model's positions.

    Raises:
        UserError: names the longest row.
    """
    limit = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    longest = max(len(row["input_ids"]) for row in rows)
    if limit is not None and longest > limit:
        raise UserError(
            f"a row has {longest} tokens, but the model reads at most {limit}: lower training.max_length, or the "
            "`shots` of its context if it reads one"
        )
