"""Which split a record belongs to."""

from collections import Counter
from random import Random
from typing import Any

from pipestill.errors import UserError
from pipestill.io.records import SPLITS, Record, of_split
from pipestill.plan.data import SplitsConfig


def divide_by_class(records: list[Record], labels: tuple[str, ...], config: SplitsConfig) -> None:
    """Give every record its split: test and validation equal per class, the rest to teacher and train.

    Raises:
        UserError: a class has too few rows, or a split would have none.
    """
    sizes = {
        "test": _per_class(config, "test", len(records), len(labels)),
        "validation": _per_class(config, "val", len(records), len(labels)),
    }
    for label in labels:
        members = [record for record in records if record["label"] == label]
        rest = len(members) - sum(sizes.values())
        if rest < 1:
            raise UserError(
                f"class {label!r} has {len(members)} rows: too few for {sizes['test']} test and "
                f"{sizes['validation']} validation rows and some to train on; ask for fewer per class"
            )
        n_teacher = round(config.teacher_share * rest)
        if n_teacher == rest or (config.teacher_share > 0 and n_teacher == 0):
            raise UserError(
                f"class {label!r} has {len(members)} rows: after test and validation {n_teacher} are left to train the "
                f"teacher and {rest - n_teacher} to train students; change `teacher_share` {config.teacher_share:g}, "
                "or ask for fewer test and validation rows per class"
            )
        Random(f"splits {config.seed} {label}").shuffle(members)
        for split, size in sizes.items():
            for _ in range(size):
                members.pop()["split"] = split
        for number, record in enumerate(members):
            record["split"] = "teacher" if number < n_teacher else "train"


def _per_class(config: SplitsConfig, key: str, n_rows: int, n_labels: int) -> int:
    if (size := getattr(config, f"{key}_per_class")) is not None:
        return size
    share = getattr(config, f"{key}_frac")
    size = round(share * n_rows / n_labels)
    if size == 0:
        raise UserError(
            f"`{key}_frac` {share:g} of {n_rows} rows is none for each of {n_labels} classes; "
            f"raise it, or give `{key}_per_class`"
        )
    return size


def divide_training_file(records: list[Record], config: SplitsConfig) -> None:
    """Give the records of a training file their split: ``val_rows`` for validation, the rest to teacher and train.

    Raises:
        UserError: a split would have no rows.
    """
    n_validation = config.val_rows or 0
    rest = len(records) - n_validation
    if rest < 1:
        raise UserError(
            f"the training file has {len(records)} usable rows: too few for {n_validation} validation rows and some to "
            "train on; lower `val_rows`"
        )
    n_teacher = round(config.teacher_share * rest)
    if n_teacher == rest or (config.teacher_share > 0 and n_teacher == 0):
        raise UserError(
            f"of {rest} training rows {n_teacher} are left to train the teacher and {rest - n_teacher} to train "
            f"students; change `teacher_share` {config.teacher_share:g}, or give more rows"
        )
    order = list(records)
    rng = Random(f"splits {config.seed}")
    if config.val_draw == "random":
        rng.shuffle(order)
    for record in order[:n_validation]:
        record["split"] = "validation"
    others = order[n_validation:]
    rng.shuffle(others)
    for number, record in enumerate(others):
        record["split"] = "teacher" if number < n_teacher else "train"


def count_splits(records: list[Record]) -> dict[str, Any]:
    """Rows of each split: by label or by test set where there are some."""
    counts: dict[str, Any] = {}
    for split in SPLITS:
        members = of_split(records, split)
        groups = [record.get("label") or record.get("test_set") for record in members]
        counts[split] = len(members) if None in groups else dict(sorted(Counter(groups).items()))
    return counts
