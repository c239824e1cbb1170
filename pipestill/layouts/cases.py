"""Splits of document collections: shares of all cases, so that no case is in two splits in any of its languages."""

import re
from collections.abc import Iterable
from fractions import Fraction
from random import Random
from typing import Literal

from pipestill.errors import UserError
from pipestill.io.normal import normalise
from pipestill.io.records import Record, of_split
from pipestill.layouts.base import SplitsOptions
from pipestill.settings.section import Part


class DocumentSplits(SplitsOptions):
    """Documents are divided by case."""

    test_frac: Part | None = None
    """Test documents as a share of all cases."""
    val_frac: Part | None = None
    """Validation documents as a share of all cases."""
    unit: Literal["case", "row"] = "case"
    """`case` keeps all that belong to one case in one split, in every language; `row` divides the rows of each language
    by themselves, as published recipes do."""


def case_of(record: Record, config: DocumentSplits) -> str:
    """The group of records that must be in the same split; none with ``unit: row``."""
    if config.unit == "row" or record.group is None:
        return record.id
    return case_key(record.group)


def case_key(name: str) -> str:
    """The case that ``name`` stands for: numbers in it are compared as numbers, so that 001, 1 and 1.0 are one."""
    whole = re.sub(r"\.0+$", "", normalise(name))
    return re.sub(r"[0-9]+", lambda number: number[0].lstrip("0") or "0", whole)


def divide_cases(records: list[Record], config: DocumentSplits) -> None:
    """Give ``records`` the splits train, validation and test, in shares of the cases.

    Cases are shuffled by ``Random(seed)`` and cut, the shares rounded down and the rest for test. With ``unit: row``
    this is done to the rows of each language by itself, which is how the published recipe divides them.

    Raises:
        UserError: a split would be empty.
    """
    validation, test = (Fraction(str(share or 0)) for share in (config.val_frac, config.test_frac))
    for rows in [records] if config.unit == "case" else _by_language(records):
        cases = _by_case(rows, config)
        Random(config.seed).shuffle(cases)
        n_validation = int(validation * len(cases))
        n_train = int((1 - validation - test) * len(cases)) if test else len(cases) - n_validation
        sizes = {"train": n_train, "validation": n_validation, "test": len(cases) - n_train - n_validation}
        if not n_train or (validation and not n_validation) or (test and not sizes["test"]):
            raise UserError(
                f"{len(cases)} cases give {', '.join(f'{size} for {split}' for split, size in sizes.items())} with "
                f"`val_frac` {float(validation):g} and `test_frac` {float(test):g}; change them, or give more documents"
            )
        start = 0
        for split, size in sizes.items():
            for record in (record for case in cases[start : start + size] for record in case):
                record.split = split
            start += size


def split_off_teacher(records: list[Record], config: DocumentSplits) -> None:
    """Give the teacher its share of the training cases.

    Raises:
        UserError: the teacher or the students would have none.
    """
    cases = _by_case(of_split(records, "train"), config)
    size = round(config.teacher_share * len(cases))
    if size == len(cases) or (config.teacher_share > 0 and not size):
        raise UserError(
            f"of {len(cases)} training cases {size} are left to train the teacher and {len(cases) - size} to train "
            f"students; change `teacher_share` {config.teacher_share:g}, or give more documents"
        )
    Random(f"teacher {config.seed}").shuffle(cases)
    for record in (record for case in cases[:size] for record in case):
        record.split = "teacher"


def _by_case(records: Iterable[Record], config: DocumentSplits) -> list[list[Record]]:
    cases: dict[str, list[Record]] = {}
    for record in records:
        cases.setdefault(case_of(record, config), []).append(record)
    return list(cases.values())


def _by_language(records: list[Record]) -> list[list[Record]]:
    languages = dict.fromkeys(record.test_set for record in records)
    return [[record for record in records if record.test_set == language] for language in languages]
