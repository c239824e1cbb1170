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
  keep the numbers above {k} / keep what is greater than {k}
numbers below (bound) -> numbers: [x for x in {x} if x < {k}]
  keep the numbers below {k} / keep what is smaller than {k}
numbers at least (bound) -> numbers: [x for x in {x} if x >= {k}]
  keep numbers of at least {k} / drop all numbers below {k}
numbers at most (bound) -> numbers: [x for x in {x} if x <= {k}]
  keep numbers of at most {k} / drop all numbers above {k}
numbers other (bound) -> numbers: [x for x in {x} if x != {k}]
  remove every {k} / drop all that is equal to {k}
numbers even -> numbers: [x for x in {x} if x % 2 == 0]
  keep the even numbers / drop the odd numbers
numbers odd -> numbers: [x for x in {x} if x % 2 == 1]
  keep the odd numbers / drop the even numbers
numbers divided (divisor) -> numbers: [x for x in {x} if x % {k} == 0]
  keep multiples of {k} / keep the numbers that {k} divides
numbers undivided (divisor) -> numbers: [x for x in {x} if x % {k} != 0]
  drop multiples of {k} / keep the numbers that {k} does not divide
numbers positive -> numbers: [x for x in {x} if x > 0]
  keep the positive numbers / drop zero and all negative numbers
numbers negative -> numbers: [x for x in {x} if x < 0]
  keep the negative numbers / drop zero and all positive numbers
numbers near (factor) -> numbers: [x for x in {x} if abs(x) <= {k}]
  keep numbers between minus {k} and {k} / keep numbers of absolute value up to {k}
words longer (length) -> words: [x for x in {x} if len(x) > {k}]
  keep the words longer than {k} / keep words of more than {k} letters
words shorter (length) -> words: [x for x in {x} if len(x) < {k}]
  keep the words shorter than {k} / keep words of less than {k} letters
words exact (length) -> words: [x for x in {x} if len(x) == {k}]
  keep the words of {k} letters / keep words of length {k}
words starting (letter) -> words: [x for x in {x} if x.startswith({k})]
  keep words that start with {k} / keep the words beginning with {k}
words ending (letter) -> words: [x for x in {x} if x.endswith({k})]
  keep words that end with {k} / keep the words ending in {k}
words having (letter) -> words: [x for x in {x} if {k} in x]
  keep words that contain {k} / keep the words with {k} in them
words lacking (letter) -> words: [x for x in {x} if {k} not in x]
  drop words that contain {k} / keep the words without {k}
"""
)
MAPS = _steps(
    """
numbers plus (factor) -> numbers: [x + {k} for x in {x}]
  add {k} to each number / increase every number by {k}
numbers minus (factor) -> numbers: [x - {k} for x in {x}]
  subtract {k} from each number / decrease every number by {k}
numbers times (factor) -> numbers: [x * {k} for x in {x}]
  multiply each number by {k} / take {k} times every number
numbers square -> numbers: [x * x for x in {x}]
  square each number / multiply each number by itself
numbers cube -> numbers: [x ** 3 for x in {x}]
  cube each number / take the third power of every number
numbers flip -> numbers: [-x for x in {x}]
  flip the sign of each number / negate every number
numbers remainder (divisor) -> numbers: [x % {k} for x in {x}]
  take each number modulo {k} / replace each number by its remainder by {k}
numbers cap (bound) -> numbers: [min(x, {k}) for x in {x}]
  cap each number at {k} / replace numbers above {k} by {k}
numbers raise (bound) -> numbers: [max(x, {k}) for x in {x}]
  raise each number to at least {k} / replace numbers below {k} by {k}
numbers distance (factor) -> numbers: [abs(x - {k}) for x in {x}]
  take the distance of each number to {k} / replace each number by its distance from {k}
words upper -> words: [x.upper() for x in {x}]
  write each word in capitals / put every word in upper case
words backwards -> words: [x[::-1] for x in {x}]
  write each word backwards / reverse the letters of every word
words cut (length) -> words: [x[:{k}] for x in {x}]
  cut each word after {k} letters / keep {k} letters of every word
words prefix (letter) -> words: [{k} + x for x in {x}]
  put {k} before each word / add {k} in front of every word
words suffix (letter) -> words: [x + {k} for x in {x}]
  put {k} behind each word / add {k} at the end of every word
"""
)
SORTS = _steps(
    """
numbers ascending -> numbers: sorted({x})
  sort the numbers / order the numbers from small to large
numbers descending -> numbers: sorted({x}, reverse=True)
  sort from largest to smallest / order the numbers from large to small
numbers by size -> numbers: sorted({x}, key=abs)
  sort by absolute value / order the numbers by size without the sign
numbers by digit -> numbers: sorted({x}, key=lambda x: x % 10)
  sort by remainder by ten / order the numbers by their value modulo 10
numbers by rest (divisor) -> numbers: sorted({x}, key=lambda x: x % {k})
  sort by remainder by {k} / order the numbers by their value modulo {k}
numbers by distance (factor) -> numbers: sorted({x}, key=lambda x: abs(x - {k}))
  sort by distance to {k} / put the numbers nearest to {k} first
words ascending -> words: sorted({x})
  sort the words / put the words in alphabetical order
words descending -> words: sorted({x}, reverse=True)
  sort the words from z to a / put the words in reverse alphabetical order
words by length -> words: sorted({x}, key=len)
  sort the words by length / put short words first
words by end -> words: sorted({x}, key=lambda x: x[-1])
  sort the words by the last letter / order words by how they end
words by count (letter) -> words: sorted({x}, key=lambda x: x.count({k}))
  sort the words by how often {k} is in them / order words by their number of {k}
"""
)
PARTS = _steps(
    """
numbers first (length) -> numbers: {x}[:{k}]
  keep the first {k} numbers / take {k} numbers from the start
numbers last (length) -> numbers: {x}[-{k}:]
  keep the last {k} numbers / take {k} numbers from the end
numbers rest (length) -> numbers: {x}[{k}:]
  skip the first {k} numbers / drop {k} numbers at the start
numbers second -> numbers: {x}[::2]
  take every second of the numbers / keep each other one of the numbers
numbers reverse -> numbers: {x}[::-1]
  reverse the numbers / turn the numbers around
numbers unique -> numbers: list(dict.fromkeys({x}))
  remove repeated numbers / keep each of the numbers once
words first (length) -> words: {x}[:{k}]
  keep the first {k} words / take {k} words from the start
words last (length) -> words: {x}[-{k}:]
  keep the last {k} words / take {k} words from the end
words rest (length) -> words: {x}[{k}:]
  skip the first {k} words / drop {k} words at the start
words second -> words: {x}[::2]
  take every second of the words / keep each other one of the words
words reverse -> words: {x}[::-1]
  reverse the words / turn the words around
words unique -> words: list(dict.fromkeys({x}))
  remove repeated words / keep each of the words once
"""
)
ENDS = _steps(
    """
numbers sum -> number: sum({x})
  add up the numbers / compute the sum
numbers size -> number: len({x})
  count the numbers / find how many numbers there are
numbers largest -> number: max({x}, default=0)
  find the largest number, or 0 / find the maximum, 0 if there is none
numbers smallest -> number: min({x}, default=0)
  find the smallest number, or 0 / find the minimum, 0 if there is none
numbers counts -> table: {{x: {x}.count(x) for x in {x}}}
  count each number in a dictionary / map each number to its count
numbers squares -> table: {{x: x * x for x in {x}}}
  map each number to its square / make a dictionary of numbers and squares
words size -> number: len({x})
  count the words / find how many words there are
words letters -> number: sum(len(x) for x in {x})
  add up the lengths of the words / count the letters of all words
words longest -> text: max({x}, key=len, default="")
  find the longest word, or an empty text / take the word with most letters, if any
words joined (letter) -> text: {k}.join({x})
  join the words with {k} / put {k} between the words
words initials -> text: "".join(x[0] for x in {x})
  join the first letters / make a text of the initials
words lengths -> table: {{x: len(x) for x in {x}}}
  map each word to its length / make a dictionary of words and lengths
words counts -> table: {{x: {x}.count(x) for x in {x}}}
  count each word in a dictionary / map each word to its count
words sizes -> numbers: [len(x) for x in {x}]
  take the length of each word / replace words by their lengths
"""
)
TEXTS = _steps(
    """
text upper -> text: {x}.upper()
  write it in capitals / make it upper case
text lower -> text: {x}.lower()
  write it in small letters / make it lower case
text swap -> text: {x}.swapcase()
  swap capitals and small letters / swap the case
text reverse -> text: {x}[::-1]
  reverse the text / write it backwards
text without (letter) -> text: {x}.replace({k}, "")
  remove each {k} / drop every {k}
text dashed (letter) -> text: {x}.replace(" ", {k})
  replace spaces by {k} / put {k} in place of each space
text starred (letter) -> text: {x}.replace({k}, "*")
  hide each {k} behind a star / replace every {k} by a star
text first (length) -> text: {x}[:{k}]
  keep the first {k} letters / cut it after {k} letters
text last (length) -> text: {x}[-{k}:]
  keep the last {k} letters / take {k} letters from the end
text rest (length) -> text: {x}[{k}:]
  skip the first {k} letters / drop {k} letters at the start
text twice (length) -> text: {x} * {k}
  repeat it {k} times / write it {k} times in a row
text consonants -> text: "".join(x for x in {x} if x not in "aeiou")
  remove the vowels / drop each of aeiou
text around (letter) -> text: {k} + {x} + {k}
  put {k} at both ends / add {k} before and after it
"""
)
TEXT_ENDS = _steps(
    """
text size -> number: len({x})
  count the letters / find its length
text count (letter) -> number: {x}.count({k})
  count how often {k} is in it / find the number of {k}
text vowels -> number: sum(x in "aeiou" for x in {x})
  count the vowels / find how many of aeiou there are
text words -> words: {x}.split()
  split it into words / make a list of its words
text parts (letter) -> words: {x}.split({k})
  split it at each {k} / cut it where {k} is
text place (letter) -> number: {x}.find({k})
  find where {k} is, or -1 / find the place of {k}, -1 if it is not there
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
table other (length) -> table: {{a: b for a, b in {x}.items() if b != {k}}}
  drop entries with the value {k} / remove what has the value {k}
table plus (factor) -> table: {{a: b + {k} for a, b in {x}.items()}}
  add {k} to each value / increase all values by {k}
table times (factor) -> table: {{a: b * {k} for a, b in {x}.items()}}
  multiply each value by {k} / take {k} times all values
table swap -> table: {{b: a for a, b in {x}.items()}}
  swap keys and values / map each value to its key
table ordered -> table: dict(sorted({x}.items()))
  sort the entries by key / order it by its keys
"""
)
TABLE_ENDS = _steps(
    """
table size -> number: len({x})
  count the entries / find how many keys there are
table keys -> words: list({x})
  list the keys / make a list of all keys
table values -> numbers: list({x}.values())
  list the values / make a list of all values
table sum -> number: sum({x}.values())
  add up the values / compute the sum of all values
table largest -> number: max({x}.values(), default=0)
  find the largest value, or 0 / find the maximum of the values, 0 without any
table by value -> words: sorted({x}, key={x}.get)
  sort the keys by value / list keys from the smallest value up
"""
)
STEPS = (*FILTERS, *MAPS, *SORTS, *PARTS, *ENDS, *TEXTS, *TEXT_ENDS, *TABLES, *TABLE_ENDS)
