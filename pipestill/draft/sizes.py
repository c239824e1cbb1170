"""Settings that fit data: sizes of splits, passes, tokens."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipestill.answers.base import Answers
from pipestill.draft.lengths import Lengths
from pipestill.errors import UserError
from pipestill.io.records import Record
from pipestill.settings.prompts import Prompt

TEST, VALIDATION = 0.2, 0.1  # shares of all rows
LARGEST = {"test_rows": 1000, "val_rows": 500}
FEWEST = 5  # rows of a group: one to test and one to validate on, two to train on, one to spare
EXAMPLES = 3000  # that a training reads, passes counted
MOST_EPOCHS = 10
STEP, SPARE = 32, 24  # tokens: lengths are multiples of the one, the other is for a chat template
SHORTEST, LONGEST = 64, 1024  # tokens of prompt and answer
ANSWER_STEP = 8  # tokens
RARE = 2  # times what 95 % have, longer ones are so rare that a hundredth of the rows may lose their end


def splits_of(records: Sequence[Record], answers: Answers, teacher: bool) -> dict[str, float]:
    """Test and validation rows, equal per group where there are groups, and the teacher's share of the others.

    Raises:
        UserError: a group has too few rows; names it.
    """
    counts = Counter(answers.stratum(record) for record in records)
    groups = answers.strata
    smallest = min(groups, key=lambda group: counts[group])
    if counts[smallest] < FEWEST:
        which, remedy = "the file has", "add rows"
        if smallest is not None:
            which, remedy = f"label {smallest!r} has", "add rows, or remove those of the label"
        raise UserError(
            f"{which} {counts[smallest]} usable rows, and {FEWEST} are needed to test, validate and train: {remedy}"
        )
    sizes = {}
    for key, share in (("test_rows", TEST), ("val_rows", VALIDATION)):
        most = max(1, int(counts[smallest] * 2 * share))  # a rare label keeps rows to train on
        each = min(max(1, round(share * len(records) / len(groups))), most, max(1, LARGEST[key] // len(groups)))
        sizes[key] = each * len(groups)
    return {**sizes, "teacher_share": 0.5 if teacher else 0}


def training_rows(records: Sequence[Record], answers: Answers, splits: dict[str, float]) -> int:
    """Rows that students learn from, equal per group."""
    counts = Counter(answers.stratum(record) for record in records)
    held_out = (splits["test_rows"] + splits["val_rows"]) // len(answers.strata)
    own = min(counts[group] for group in answers.strata) - held_out
    return len(answers.strata) * max(1, round(own * (1 - splits["teacher_share"])))


def epochs_for(rows: int) -> int:
    """Passes over training rows."""
    return min(MOST_EPOCHS, max(1, math.ceil(EXAMPLES / rows)))


@dataclass(frozen=True)
class Tokens:
    """Lengths of prompts and answers in tokens.

    Attributes:
        prompts: of each record.
        answers: of each record.
        max_length: that fits both together.
        max_new_tokens: that fits every answer.
        longer: records that do not fit.
        cramped: whether an answer leaves no room for a prompt.
    """

    prompts: Sequence[int]
    answers: Sequence[int]
    max_length: int
    max_new_tokens: int
    longer: int
    cramped: bool


def tokens_of(records: Sequence[Record], prompt: Prompt, lengths: Lengths) -> Tokens:
    """Lengths of records, and limits that fit them."""
    prompts = lengths([prompt.fill(record.inputs) for record in records])
    answers = lengths([record.target for record in records])
    together = [asked + answered + SPARE for asked, answered in zip(prompts, answers, strict=True)]
    most = min(LONGEST, lengths.positions or LONGEST)
    usual = max(together) if max(together) <= RARE * _at(together, 95) else _at(together, 99)
    limit = min(most, max(SHORTEST, _up(max(usual, max(answers) + SHORTEST), STEP)))
    new = min(limit // 2, _up(max(answers) + 1, ANSWER_STEP))
    return Tokens(prompts, answers, limit, new, sum(each > limit for each in together), max(answers) + SHORTEST > limit)


def spread(numbers: Sequence[int]) -> str:
    """The middle one, that which 95 % are not above, and the largest."""
    return f"{_at(numbers, 50)} in the middle, {_at(numbers, 95)} at 95 %, {max(numbers)} at most"


def _at(numbers: Sequence[int], percent: int) -> int:
    """The number that ``percent`` of all are not above."""
    return sorted(numbers)[min(len(numbers) - 1, len(numbers) * percent // 100)]


def _up(number: int, step: int) -> int:
    return math.ceil(number / step) * step
