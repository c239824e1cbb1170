"""Divergences between what teacher and student say about the classes: the labels that an answer can begin with.

Two distributions over C labels are compared at the first token of each answer, and the student's logits get the
gradient by the chain rule. Without a bucket for the rest, both are normalised over the labels alone, so nothing says
how likely a label is at all: cross-entropy does, or the bucket, one more outcome for all other tokens.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pipestill.errors import UserError
from pipestill.losses.divergences import check_temperature, logit_gradient
from pipestill.losses.kinds import complete_options
from pipestill.losses.sparse import BucketTarget


class LabelsTarget:
    """The labels' probabilities at the first token of each answer; other tokens of an answer are not compared.

    Args:
        ids: [labels] of int64, the student's tokens that the labels begin with.
        first: [answers] of int64, which of the supervised tokens are the first of their answers, ascending.
        tokens: supervised tokens.
        log_probs: [answers, labels], the teacher's, at the temperature that the student is compared at.
        rest: [answers], log of the mass of all other tokens; none: the labels are all outcomes.
    """

    def __init__(self, ids: Tensor, first: Tensor, tokens: int, log_probs: Tensor, rest: Tensor | None = None):
        self.ids, self.first, self.tokens, self.log_probs, self.rest = ids, first, tokens, log_probs, rest

    def __len__(self) -> int:
        """Supervised tokens."""
        return self.tokens

    def loss_and_gradient(
        self,
        kind: str,
        logits: Tensor,
        rows: slice,
        *,
        temperature: float = 1.0,
        t_squared: bool = False,
        **options: Any,
    ) -> tuple[Tensor, Tensor]:
        """See :class:`~pipestill.losses.targets.Target`; 0 for tokens that are not compared. The gradient is written
        over ``logits``."""
        check_temperature(temperature)
        bounds = torch.searchsorted(self.first, torch.tensor([rows.start, rows.stop], device=self.first.device))
        answers = slice(*bounds.tolist())
        places = self.first[answers] - rows.start
        own, settings = logits[places], {"temperature": temperature, "t_squared": t_squared}
        if self.rest is None:
            found, gradient = self._among_labels(kind, own, answers, settings, options)
        else:
            ids = self.ids.expand(len(self.first), -1)
            target = BucketTarget(ids, self.log_probs, self.rest)
            found, gradient = target.loss_and_gradient(kind, own, answers, **settings, **options)
        values = logits.new_zeros(len(logits))
        values[places] = found
        logits.zero_()
        logits[places] = gradient
        return values, logits

    def _among_labels(self, kind, logits, answers, settings, options) -> tuple[Tensor, Tensor]:
        """Both models' logits of the labels are those of a vocabulary of as many tokens."""
        teacher = self.log_probs[answers].to(logits.dtype) * settings["temperature"]
        options = complete_options(kind, options)
        values, by_label = logit_gradient(kind, logits[:, self.ids], teacher, **settings, **options)
        return values, torch.zeros_like(logits).index_copy_(1, self.ids, by_label)


def check_labels(labels: list[str], ids: list[int]) -> None:
    """Refuse labels that their first tokens do not tell apart.

    Raises:
        UserError: names two of them.
    """
    for label, index in zip(labels, ids, strict=True):
        if ids.index(index) != labels.index(label):
            raise UserError(
                f"the labels `{labels[ids.index(index)]}` and `{label}` begin with the same token, so that its "
                "probability does not tell them apart: use labels that differ in their first token"
            )


def likeliest(logits: Tensor, among: Sequence[int] | None) -> Tensor:
    """The token with the highest of ``logits`` [tokens, vocab], of all or ``among`` some ids; [tokens] of int64."""
    if among is None:
        return logits.argmax(-1)
    ids = torch.tensor(among, device=logits.device)
    return ids[logits[:, ids].argmax(-1)]
