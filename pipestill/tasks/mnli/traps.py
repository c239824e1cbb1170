"""Pairs whose hypothesis has only words of the premise, whether it follows or not: the three heuristics of HANS."""

from dataclasses import dataclass
from random import Random

from pipestill.tasks import lexicon
from pipestill.tasks.mnli.statements import sentence

HEURISTICS = ("lexical_overlap", "subsequence", "constituent")
DID = lexicon.words("praised blamed greeted warned trusted hired paid stopped invited answered")  # participles too
RESTED = lexicon.words("slept waited laughed cried ran sang smiled")
QUALITIES = lexicon.words("tall young happy quiet old short loud slow quick")


@dataclass(frozen=True)
class Trap:
    """One case of a heuristic.

    Attributes:
        heuristic: one of ``HEURISTICS``, which takes every such hypothesis for true.
        follows: whether it is.
        subcase: its name.
        premise: with gaps for persons ``{a}``, ``{b}``, ``{c}``, verbs with an object ``{v}``, ``{w}`` and one without,
            ``{i}``.
        hypothesis: with the same gaps.
    """

    heuristic: str
    follows: bool
    subcase: str
    premise: str
    hypothesis: str


TRAPS = (
    Trap("lexical_overlap", True, "conjunction", "{a} and {b} {v} {c}", "{a} {v} {c}"),
    Trap("lexical_overlap", True, "passive", "{a} was {v} by {b}", "{b} {v} {a}"),
    Trap("lexical_overlap", True, "place", "{a} near {b} {v} {c}", "{a} {v} {c}"),
    Trap("lexical_overlap", True, "relative clause", "{a} that {b} {v} {w} {c}", "{b} {v} {a}"),
    Trap("lexical_overlap", False, "conjunction", "{a} and {b} {v} {c}", "{a} {v} {b}"),
    Trap("lexical_overlap", False, "passive", "{a} was {v} by {b}", "{a} {v} {b}"),
    Trap("lexical_overlap", False, "place", "{a} near {b} {v} {c}", "{c} {v} {a}"),
    Trap("lexical_overlap", False, "relative clause", "{a} that {b} {v} {w} {c}", "{c} {w} {a}"),
    Trap("lexical_overlap", False, "swapped roles", "{a} {v} {b}", "{b} {v} {a}"),
    Trap("subsequence", True, "conjunction", "{a} and {b} {v} {c}", "{b} {v} {c}"),
    Trap("subsequence", True, "place of the object", "{a} {v} {b} near {c}", "{a} {v} {b}"),
    Trap("subsequence", True, "relative clause of the object", "{a} {v} {b} that {w} {c}", "{a} {v} {b}"),
    Trap("subsequence", False, "complement", "{a} believed {b} {i}", "{a} believed {b}"),
    Trap("subsequence", False, "place of the subject", "{a} near {b} {v} {c}", "{b} {v} {c}"),
    Trap("subsequence", False, "relative clause of the subject", "{a} that {v} {b} {w} {c}", "{b} {w} {c}"),
    Trap("constituent", True, "before", "before {a} {i}, {b} {v} {c}", "{a} {i}"),
    Trap("constituent", True, "conjunction", "{a} {i}, and {b} {v} {c}", "{b} {v} {c}"),
    Trap("constituent", True, "adverb", "clearly {a} {v} {b}", "{a} {v} {b}"),
    Trap("constituent", True, "knew that", "{a} knew that {b} {v} {c}", "{b} {v} {c}"),
    Trap("constituent", False, "if", "if {a} {i}, {b} {v} {c}", "{a} {i}"),
    Trap("constituent", False, "disjunction", "{a} {i}, or {b} {v} {c}", "{b} {v} {c}"),
    Trap("constituent", False, "adverb", "maybe {a} {v} {b}", "{a} {v} {b}"),
    Trap("constituent", False, "said that", "{a} said that {b} {v} {c}", "{b} {v} {c}"),
)
CELLS = tuple((heuristic, follows) for heuristic in HEURISTICS for follows in (True, False))


def trap(rng: Random, heuristic: str, follows: bool) -> tuple[Trap, str, str]:
    """A case of a heuristic, with its premise and hypothesis."""
    case = rng.choice([each for each in TRAPS if (each.heuristic, each.follows) == (heuristic, follows)])
    persons = rng.sample(lexicon.PEOPLE, 3)
    qualities = rng.sample(QUALITIES, 3)
    whole = [f"the {quality} {person}" for quality, person in zip(qualities, persons, strict=True)]
    short = [f"the {person}" for person in persons]
    a, b, c = (rng.choice(wordings) for wordings in zip(whole, short, strict=True))
    v, w = rng.sample(DID, 2)
    gaps = {"a": a, "b": b, "c": c, "v": v, "w": w, "i": rng.choice(RESTED)}
    return case, sentence(case.premise.format(**gaps)), sentence(case.hypothesis.format(**gaps))
