"""The mixture of all families, by shares of tokens."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from pipestill.pretraining.corpus import (
    bands,
    credit,
    facts,
    forms,
    instructions,
    numbers,
    pairs,
    programs,
    repeat,
    reports,
)
from pipestill.pretraining.corpus.document import Document


@dataclass(frozen=True)
class Family:
    """A generator of documents and its share of the corpus' tokens, in per cent."""

    name: str
    share: float
    draw: Callable[[Random], Document]


def _repeat(rng: Random) -> Document:
    return repeat.label_word(rng) if rng.random() < 0.1 else repeat.repeat(rng)


FAMILIES = (
    Family("bands", 24, bands.record),
    Family("json", 18, forms.key_values),
    Family("pairs", 13, pairs.episode),
    Family("repeat", 9, _repeat),
    Family("dates", 5, forms.normalised),
    Family("code", 6, programs.program),
    Family("reports", 7, reports.report),
    Family("facts", 3, facts.fact),
    Family("numbers", 5, numbers.comparison),
    Family("invoices", 3, forms.invoice),
    Family("credit", 2, credit.raw_record),
    Family("instructions", 5, instructions.instruction),
)
PLAIN: Mapping[str, float] = MappingProxyType({})  # no family has another share than its own
SAMPLE = 200  # documents per family behind the mean lengths


def document_weights(
    count_tokens: Callable[[Document], int],
    emphasis: Mapping[str, float] = PLAIN,
    families: Sequence[Family] = FAMILIES,
) -> list[float]:
    """Weights to draw the families with, so that their *tokens* have their shares: share / mean length in a sample.

    ``emphasis`` has factors of the shares of some families.
    """
    weights = []
    for family in families:
        rng = Random(f"length {family.name}")
        mean = sum(count_tokens(family.draw(rng)) for _ in range(SAMPLE)) / SAMPLE
        weights.append(family.share * emphasis.get(family.name, 1.0) / mean)
    return weights


def shares(emphasis: Mapping[str, float], families: Sequence[Family] = FAMILIES) -> dict[str, float]:
    """The families' shares of the corpus' tokens in per cent, once ``emphasis`` has multiplied some."""
    raised = {family.name: family.share * emphasis.get(family.name, 1.0) for family in families}
    return {name: 100 * share / sum(raised.values()) for name, share in raised.items()}


def documents(rng: Random, weights: list[float], families: Sequence[Family] = FAMILIES) -> Iterator[Document]:
    """Documents without end, families drawn by ``weights`` (see ``document_weights``)."""
    while True:
        yield rng.choices(families, weights)[0].draw(rng)


def family_documents(name: str, seed: str, n: int, families: Sequence[Family] = FAMILIES) -> list[Document]:
    """``n`` documents of one family from a seed of their own: held-out documents for probes and tests."""
    family = next(family for family in families if family.name == name)
    rng = Random(f"{seed} {name}")
    return [family.draw(rng) for _ in range(n)]
