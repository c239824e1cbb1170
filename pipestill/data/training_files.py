"""The training files of a study, balanced over classes where there are some, in the published schemas (plus ``id``)."""

from collections.abc import Mapping
from pathlib import Path
from random import Random

from pipestill.errors import UserError
from pipestill.records import Record, of_split, read_jsonl, write_jsonl
from pipestill.tasks import TASKS

FORMATS = ("teacher", "sft", "kd", "dpo")


def balance(records: list[Record], labels: tuple[str, ...], per_class: int | None, seed: int) -> list[Record]:
    """As many records of each of ``labels`` as the rarest of them has, ``per_class`` at most, in a seeded order.

    A smaller ``per_class`` takes a subset of what a larger one takes.

    Raises:
        UserError: there is no record of a label.
    """
    by_label: dict[str, list[Record]] = {label: [] for label in sorted(labels)}
    for record in records:
        by_label[record["label"]].append(record)
    for label, members in by_label.items():
        if not members:
            raise UserError(
                f"there are {len(records)} rows to train on, but none of class {label!r}; change the sizes and the "
                "`teacher_share` under `splits`"
            )
    size = min(len(members) for members in by_label.values())
    size = min(size, per_class) if per_class else size
    chosen = []
    for label, members in by_label.items():
        Random(f"balance {seed} {label}").shuffle(members)
        chosen += members[:size]
    Random(f"order {seed}").shuffle(chosen)
    return chosen


def select(
    records: list[Record], training_file: str, labels: tuple[str, ...], rows: int | None, seed: int
) -> list[Record]:
    """The records that ``training_file`` is made of: balanced over ``labels``, or without them as they come.

    The teacher learns from the training split where there is no teacher split, which is so with ``teacher_share`` 0
    alone: :mod:`pipestill.data.splits` refuses to leave it empty otherwise.

    Args:
        rows: how many at most, of each label where there are labels; fewer are a subset of more.
    """
    own = of_split(records, "teacher") if training_file == "teacher" else []
    chosen = own or of_split(records, "train")
    if labels:
        return balance(chosen, labels, rows, seed)
    Random(f"order {seed}").shuffle(chosen)
    return chosen[:rows]


def sft_row(record: Record) -> Record:
    """``{"id", "input", "output"}``: the gold output."""
    return {"id": record["id"], "input": record["prompt"], "output": record["target"]}


def kd_row(record: Record, outputs: Mapping[str, Record] | None) -> Record:
    """``{"id", "input", "teacher_output"}``: what the teacher generated, or the gold output without a teacher.

    Raises:
        UserError: the teacher's outputs lack this record.
    """
    output = record["target"] if outputs is None else _of_teacher(outputs, record)["output"]
    return {"id": record["id"], "input": record["prompt"], "teacher_output": output}


def dpo_row(record: Record, labels: tuple[str, ...], outputs: Mapping[str, Record] | None, seed: int) -> Record:
    """``{"id", "prompt", "chosen", "rejected"}``: gold against a wrong label.

    The wrong label is drawn at random, or, given the teacher's ``outputs``, is the one that the teacher finds most
    likely.
    """
    wrong = [label for label in labels if label != record["label"]]
    if outputs is None:
        rejected = Random(f"rejected {seed} {record['id']}").choice(wrong)
    else:
        scores = _of_teacher(outputs, record)["label_scores"]
        rejected = max(wrong, key=scores.__getitem__)
    return {"id": record["id"], "prompt": record["prompt"], "chosen": record["target"], "rejected": rejected}


def _of_teacher(outputs: Mapping[str, Record], record: Record) -> Record:
    if record["id"] not in outputs:
        raise UserError(f"the teacher's outputs hold nothing for record {record['id']}; make them again")
    return outputs[record["id"]]


def training_rows(
    records: list[Record],
    training_file: str,
    labels: tuple[str, ...],
    outputs: Mapping[str, Record] | None,
    seed: int,
) -> list[Record]:
    """Rows of ``training_file`` (one of ``FORMATS``) for ``records``."""
    if training_file == "kd":
        return [kd_row(record, outputs) for record in records]
    if training_file == "dpo":
        return [dpo_row(record, labels, outputs, seed) for record in records]
    return [sft_row(record) for record in records]


def make_training_files(
    name: str,
    training_file: str,
    records: Path,
    outputs: Path | None,
    rows: int | None,
    seed: int,
    train: Path,
    validation: Path,
) -> None:
    """Write the rows that a method trains on, and validation rows with gold outputs in the same schema."""
    task, all_records = TASKS[name], read_jsonl(records)
    by_id = {row["id"]: row for row in read_jsonl(outputs)} if outputs else None
    chosen = select(all_records, training_file, task.labels, rows, seed)
    held_out = of_split(all_records, "validation")
    write_jsonl(train, training_rows(chosen, training_file, task.labels, by_id, seed))
    write_jsonl(validation, training_rows(held_out, training_file, task.labels, None, seed))
    print(f"{len(chosen)} training rows, {len(held_out)} validation rows")
