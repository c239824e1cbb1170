"""How labels are ranked behind prompts: one way for each kind of model."""

from collections.abc import Callable, Container, Iterator
from typing import TYPE_CHECKING

from pipestill.errors import UserError
from pipestill.inference.label_trie import Tokens
from pipestill.inference.loaded import Loaded
from pipestill.inference.masked_ranking import score_at_masks
from pipestill.inference.ranking import LabelScores, gather, score_labels
from pipestill.models.kinds import kind_of

if TYPE_CHECKING:
    from pipestill.settings.models import ModelKind

Scored = Iterator[tuple[list[int], LabelScores]]
Ranker = Callable[[Loaded, Tokens, Tokens, Container[int]], Scored]


def _behind(loaded: Loaded, prompts: Tokens, labels: Tokens, done: Container[int]) -> Scored:
    return score_labels(loaded.model, prompts, labels, done=done)


RANKERS: "dict[ModelKind, Ranker]" = {"causal": _behind, "masked": score_at_masks}
"""By kind, a function with the contract of :func:`rank`."""


def rank(loaded: Loaded, prompts: Tokens, labels: Tokens, done: Container[int] = frozenset()) -> Scored:
    """Score ``labels`` behind each prompt, batch by batch, longest prompts first.

    Args:
        loaded: the model.
        prompts: token ids of each prompt, of :meth:`~pipestill.inference.loaded.Loaded.encoder`.
        labels: token ids of each label.
        done: indices of prompts that an earlier process has finished. Batches are composed as if nothing were, so
            that a resumed run gives the same bits as one that was not stopped.

    Returns:
        Iterator over (indices of the batch's prompts, their scores).

    Raises:
        UserError: models of this kind rank no labels, or a prompt or label does not fit.
    """
    kind = kind_of(loaded.model.config)
    if kind not in RANKERS:
        raise UserError(
            f"labels are ranked by models of the kinds {', '.join(RANKERS)}, not `{kind}`: use one of these"
        )
    return RANKERS[kind](loaded, prompts, labels, done)


def rank_all(loaded: Loaded, prompts: Tokens, labels: Tokens) -> LabelScores:
    """Scores of all ``prompts`` at once, in their order; see :func:`rank`."""
    return gather(rank(loaded, prompts, labels), len(prompts), len(labels))
