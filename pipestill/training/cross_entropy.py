"""Cross-entropy on the tokens of answers."""

import torch
from torch.nn.functional import cross_entropy

from pipestill.models.heads import answer_logits, predicted
from pipestill.models.rows import IGNORED, Row
from pipestill.training.resumable import Batch, ResumableTrainer


def answer_loss(model: torch.nn.Module, batch: Batch, reduction: str = "sum") -> torch.Tensor:
    """Sum of the cross-entropies, in nats, of all labels that are not :data:`IGNORED`.

    The head is evaluated only where the next token has a label: [supervised, vocab] logits, not [batch, seq, vocab].

    Args:
        model: a causal language model whose ``logits_to_keep`` takes a mask, or an encoder-decoder.
        batch: of :func:`~pipestill.models.rows.collate`; the first position has no label.
        reduction: ``none`` gives those of the labels instead, [supervised], row by row.
    """
    logits = answer_logits(model, batch)
    return cross_entropy(logits.float(), predicted(batch["labels"]), reduction=reduction)


class CrossEntropyTrainer(ResumableTrainer):
    """Trains on the mean cross-entropy over all answer tokens of an optimizer step."""

    @staticmethod
    def row_length(row: Row) -> int:
        """Tokens of prompt and answer."""
        return len(row["input_ids"]) + len(row.get("decoder_input_ids", ()))

    def loss_sum(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """See :func:`answer_loss`."""
        return answer_loss(model, batch)

    def count_items(self, batch: Batch) -> int:
        """Supervised tokens."""
        return int((batch["labels"][:, 1:] != IGNORED).sum())
