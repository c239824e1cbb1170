"""Blocks that single answers are shown by: JSON that the script of the page draws, whatever the kind of answers.

``["text", runs]`` and ``["code", runs]`` hold runs of text ``[text, mark]``: 0 as in the reference, 1 not in it, -1
only in the reference. ``["bars", rows]`` holds rows ``[name, share, whether it is the gold one]``, ``["note", text,
tone]`` a sentence whose tone is ``good``, ``bad`` or empty.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

Block = list[Any]
Run = list[Any]  # text, mark
LONGEST = 4000  # characters of a text that is compared; the page shows fewer
ALIKE = 0.3  # share of words in common below which marks would say nothing
CUT = "…"
_TOKENS = re.compile(r"(?:\w+|[^\w\s])\s*|\s+")  # each with the spaces behind it


@dataclass(frozen=True)
class Shown:
    """An answer to one example, as a page shows it.

    Attributes:
        answer: its blocks.
        reference: those of the reference.
    """

    answer: list[Block]
    reference: list[Block]


def text(content: str, mark: int = 0) -> Block:
    """A text as it is."""
    return ["text", [[content, mark]]]


def code(content: str) -> Block:
    """A text of fixed width."""
    return ["code", [[content, 0]]]


def bars(shares: Mapping[str, float], gold: str) -> Block:
    """How likely each of some names is, the likeliest first."""
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return ["bars", [[name, round(share, 3), name == gold] for name, share in ordered]]


def note(sentence: str, tone: str = "") -> Block:
    """A sentence about the answer: ``good``, ``bad`` or neither."""
    return ["note", sentence, tone]


def differences(answer: str, references: Sequence[str]) -> Block:
    """An answer with its differences, word by word, to the reference that is most like it."""
    words = _TOKENS.findall(answer[:LONGEST])
    known = [_TOKENS.findall(each[:LONGEST]) for each in references]
    matchers = [SequenceMatcher(None, _stripped(each), _stripped(words), autojunk=False) for each in known]
    closest, reference = max(zip(matchers, known, strict=True), key=lambda pair: pair[0].ratio())
    if closest.ratio() < ALIKE:
        return text(answer[:LONGEST], 1)
    runs = []
    for kind, i, j, a, b in closest.get_opcodes():
        if kind == "equal":
            runs.append(("".join(words[a:b]), 0))
        else:
            changed = "".join(words[a:b])
            bare = changed.rstrip()
            runs += [("".join(reference[i:j]).rstrip(), -1), (bare, 1), (changed[len(bare) :], 0)]
    return ["text", _joined(runs)]


def line_differences(answer: str, reference: str) -> Block:
    """A text of fixed width with its differences to the reference, line by line; a comma at the end of a line is
    none."""
    own, known = (each[:LONGEST].splitlines(keepends=True) for each in (answer, reference))
    bare = [[line.rstrip().removesuffix(",") for line in lines] for lines in (known, own)]
    matcher, runs = SequenceMatcher(None, *bare, autojunk=False), []
    if not matcher.ratio():
        return ["code", [[answer[:LONGEST], 1]]]
    for kind, i, j, a, b in matcher.get_opcodes():
        if kind == "equal":
            runs.append(("".join(own[a:b]), 0))
        else:
            for before, after in zip_longest(known[i:j], own[a:b], fillvalue=""):
                runs += [*_line(before, -1), *_line(after, 1)]
    return ["code", _joined(runs)]


def shortened(blocks: Sequence[Block], limit: int) -> list[Block]:
    """Blocks whose texts are cut after ``limit`` characters."""
    return [_shortened(block, limit) for block in blocks]


def cut(content: str, limit: int) -> str:
    """A text that is cut after ``limit`` characters."""
    return content if len(content) <= limit else content[:limit] + CUT


def _line(line: str, mark: int) -> list[tuple[str, int]]:
    """A line with a mark on what is neither its indentation nor its end."""
    content = line.strip()
    return [(line[: len(line) - len(line.lstrip())], 0), (content, mark), ("\n", 0)] if content else [(line, 0)]


def _stripped(tokens: Sequence[str]) -> list[str]:
    return [token.strip() for token in tokens]


def _shortened(block: Block, limit: int) -> Block:
    kind, content, *rest = block
    if kind == "note":
        return [kind, cut(content, limit), *rest]
    if kind == "bars":
        return block
    kept, left = [], limit
    for part, mark in content:
        kept.append([cut(part, left), mark])
        left -= len(part)
        if left < 0:
            break
    return [kind, kept]


def _joined(runs: Iterable[tuple[str, int]]) -> list[Run]:
    """Runs without empty ones, neighbours of one mark together."""
    found: list[Run] = []
    for part, mark in runs:
        if not part:
            continue
        if found and found[-1][1] == mark:
            found[-1][0] += part
        else:
            found.append([part, mark])
    return found
