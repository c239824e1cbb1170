"""Steps of synthetic programs: what each takes and gives, how it is asked for, and its Python expression."""

import re
from dataclasses import dataclass

# Two lines a step: what it takes, its name, its gap in brackets if it has one, what it gives, and an expression of {x},
# its value, and {k}, its parameter; then imperatives that ask for it.
_FORM = re.compile(r"(\w+) ([a-z ]+?)(?: \((\w+)\))? -> (\w+): (.+)\n  (.+)")


@dataclass(frozen=True)
class Step:
    """A step.

    Attributes:
        name: in combinations.
        takes: kind of its value: ``numbers``, ``words``, ``text``, ``table``.
        gives: kind of its result: the same, or ``number``.
        code: a Python expression with the gaps ``x``, its value, and ``k``, its parameter.
        asked: imperatives with the gap ``k``.
        gap: what the parameter is: ``bound``, ``divisor``, ``length``, ``factor`` or ``letter``; none without one.
    """

    name: str
    takes: str
    gives: str
    code: str
    asked: tuple[str, ...]
    gap: str | None


def _steps(table: str) -> tuple[Step, ...]:
    """The steps of a table."""
    return tuple(
        Step(f"{takes} {name}", takes, gives, code, tuple(asked.split(" / ")), gap or None)
        for takes, name, gap, gives, code, asked in _FORM.findall(table)
    )


FILTERS = _steps(
    """
numbers above (bound) -> numbers: [x for x in {x} if x > {k}]
  keep the values above {k} / keep what is greater than {k}
numbers below (bound) -> numbers: [x for x in {x} if x < {k}]
  keep the values below {k} / keep what is smaller than {k}
numbers other (bound) -> numbers: [x for x in {x} if x != {k}]
  drop the values equal to {k} / remove every {k}
numbers even -> numbers: [x for x in {x} if x % 2 == 0]
  keep the even values / drop what is odd
numbers odd -> numbers: [x for x in {x} if x % 2 == 1]
  keep the odd values / drop what is even
numbers divided (divisor) -> numbers: [x for x in {x} if x % {k} == 0]
  keep the values that {k} divides / keep multiples of {k}
words longer (length) -> words: [x for x in {x} if len(x) > {k}]
  keep the words longer than {k} / keep words of more than {k} letters
words shorter (length) -> words: [x for x in {x} if len(x) < {k}]
  keep the words shorter than {k} / keep words of less than {k} letters
words starting (letter) -> words: [x for x in {x} if x.startswith({k})]
  keep the words that start with {k} / keep words with {k} at the start
words having (letter) -> words: [x for x in {x} if {k} in x]
  keep the words that contain {k} / keep words with {k} in them
"""
)
MAPS = _steps(
    """
numbers plus (factor) -> numbers: [x + {k} for x in {x}]
  add {k} to each value / increase every value by {k}
numbers times (factor) -> numbers: [x * {k} for x in {x}]
  multiply each value by {k} / take {k} times every value
numbers square -> numbers: [x * x for x in {x}]
  square each value / multiply each value by itself
numbers size -> numbers: [abs(x) for x in {x}]
  take absolute values / drop the sign of each value
numbers remainder (divisor) -> numbers: [x % {k} for x in {x}]
  take each value modulo {k} / take the remainder of every value by {k}
words upper -> words: [x.upper() for x in {x}]
  make each word upper case / write every word in capitals
words backwards -> words: [x[::-1] for x in {x}]
  reverse each word / write every word backwards
"""
)
SORTS = _steps(
    """
numbers ascending -> numbers: sorted({x})
  sort the values / order the values from small to large
numbers descending -> numbers: sorted({x}, reverse=True)
  sort from largest to smallest / order the values from large to small
numbers by size -> numbers: sorted({x}, key=abs)
  sort by absolute value / order the values without their sign
words ascending -> words: sorted({x})
  sort the words / order the words from a to z
words descending -> words: sorted({x}, reverse=True)
  sort the words from z to a / order the words from the end of the alphabet
words by length -> words: sorted({x}, key=len)
  sort the words by length / order the words from short to long
"""
)
PARTS = _steps(
    """
numbers first (length) -> numbers: {x}[:{k}]
  keep the first {k} values / take {k} values from the start
numbers rest (length) -> numbers: {x}[{k}:]
  skip the first {k} values / drop {k} values at the start
numbers reverse -> numbers: {x}[::-1]
  reverse the values / turn the list around
numbers unique -> numbers: list(dict.fromkeys({x}))
  remove repeated values / keep each value once
words first (length) -> words: {x}[:{k}]
  keep the first {k} words / take {k} words from the start
words rest (length) -> words: {x}[{k}:]
  skip the first {k} words / drop {k} words at the start
words reverse -> words: {x}[::-1]
  reverse the words / turn the list around
"""
)
ENDS = _steps(
    """
numbers sum -> number: sum({x})
  add up the values / compute the sum
numbers count -> number: len({x})
  count the values / find how many are left
numbers largest -> number: max({x}, default=0)
  find the largest, or 0 / find the maximum, 0 without any
numbers smallest -> number: min({x}, default=0)
  find the smallest, or 0 / find the minimum, 0 without any
numbers counts -> table: {{x: {x}.count(x) for x in {x}}}
  count each value in a dictionary / map each value to its count
words count -> number: len({x})
  count the words / find how many words are left
words joined (letter) -> text: {k}.join({x})
  join the words by {k} / put {k} between the words
words lengths -> table: {{x: len(x) for x in {x}}}
  map each word to its length / make a dictionary of words and lengths
words sizes -> numbers: [len(x) for x in {x}]
  take the length of each word / replace the words by their lengths
"""
)
TEXTS = _steps(
    """
text upper -> text: {x}.upper()
  make it upper case / write it in capitals
text lower -> text: {x}.lower()
  make it lower case / write it in small letters
text reverse -> text: {x}[::-1]
  reverse the text / write it backwards
text without (letter) -> text: {x}.replace({k}, "")
  remove each {k} / drop every {k}
text dashed (letter) -> text: {x}.replace(" ", {k})
  replace spaces by {k} / put {k} in place of each space
text first (length) -> text: {x}[:{k}]
  keep the first {k} letters / cut it after {k} letters
text rest (length) -> text: {x}[{k}:]
  skip the first {k} letters / drop {k} letters at the start
text often (length) -> text: {x} * {k}
  repeat it {k} times / write it {k} times in a row
"""
)
TEXT_ENDS = _steps(
    """
text length -> number: len({x})
  find its length / count the letters
text count (letter) -> number: {x}.count({k})
  count how often {k} occurs / find the number of {k}
text words -> words: {x}.split()
  split it into words / make a list of its words
text counts -> table: {{x: {x}.count(x) for x in {x}}}
  count each letter in a dictionary / map each letter to its count
"""
)
TABLES = _steps(
    """
table above (length) -> table: {{a: b for a, b in {x}.items() if b > {k}}}
  keep entries with values above {k} / keep what has a value over {k}
table below (length) -> table: {{a: b for a, b in {x}.items() if b < {k}}}
  keep entries with values below {k} / keep what has a value under {k}
table plus (factor) -> table: {{a: b + {k} for a, b in {x}.items()}}
  add {k} to the value of each key / increase the value of every key by {k}
table times (factor) -> table: {{a: b * {k} for a, b in {x}.items()}}
  multiply the value of each key by {k} / take {k} times the value of every key
"""
)
TABLE_ENDS = _steps(
    """
table count -> number: len({x})
  count the entries / find how many keys there are
table keys -> words: list({x})
  list the keys / make a list of all keys
table values -> numbers: list({x}.values())
  list the values / make a list of all values
table sum -> number: sum({x}.values())
  add up the values of all keys / compute the sum of the values
"""
)
STEPS = (*FILTERS, *MAPS, *SORTS, *PARTS, *ENDS, *TEXTS, *TEXT_ENDS, *TABLES, *TABLE_ENDS)
