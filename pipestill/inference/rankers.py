"""How labels are ranked behind prompts: one way for each kind of model."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pipestill.errors import UserError
from pipestill.inference.head_ranking import score_by_head
from pipestill.inference.label_scores import LabelScores, gather
from pipestill.inference.label_trie import Tokens
from pipestill.inference.loaded import Loaded
from pipestill.inference.masked_ranking import score_at_masks
from pipestill.inference.ranking import score_labels
from pipestill.models.kinds import CLASSIFIER, kind_of

if TYPE_CHECKING:
    from pipestill.inference.prefix import KeptPrefix
    from pipestill.models.kinds import TrainedKind

Scored = Iterator[tuple[list[int], LabelScores]]
Words = Mapping[str, Sequence[int]]  # token ids of what stands for each label
Ranker = Callable[[Loaded, Tokens, Words, Container[int], "KeptPrefix | None"], Scored]


def _behind(loaded: Loaded, prompts: Tokens, labels: Words, done: Container[int], kept: "KeptPrefix | None") -> Scored:
    return score_labels(loaded.model, prompts, list(labels.values()), done=done, kept=kept)


def _at_masks(loaded: Loaded, prompts: Tokens, labels: Words, done: Container[int], kept: object) -> Scored:
    return score_at_masks(loaded, prompts, list(labels.values()), done)


def _by_head(loaded: Loaded, prompts: Tokens, labels: Words, done: Container[int], kept: object) -> Scored:
    return score_by_head(loaded, prompts, list(labels), done)


RANKERS: "dict[TrainedKind, Ranker]" = {"causal": _behind, "masked": _at_masks, CLASSIFIER: _by_head}
"""By kind, a function with the contract of :func:`rank`."""


def rank(
    loaded: Loaded,
    prompts: Tokens,
    labels: Words,
    done: Container[int] = frozenset(),
    kept: "KeptPrefix | None" = None,
) -> Scored:
    """Score ``labels`` behind each prompt, batch by batch, longest prompts first.

    Args:
        loaded: the model.
        prompts: token ids of each prompt, of :meth:`~pipestill.inference.loaded.Loaded.encoder`.
        labels: token ids of what stands for each label.
        done: indices of prompts that an earlier process has finished. Batches are composed as if nothing were, so
            that a resumed run gives the same bits as one that was not stopped.
        kept: common prefix of this call and earlier ones, which models that read from left to right read once.

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
    return RANKERS[kind](loaded, prompts, labels, done, kept)


def rank_all(loaded: Loaded, prompts: Tokens, labels: Words, kept: "KeptPrefix | None" = None) -> LabelScores:
    """Scores of all ``prompts`` at once, in their order; see :func:`rank`."""
    return gather(rank(loaded, prompts, labels, kept=kept), len(prompts), len(labels))
