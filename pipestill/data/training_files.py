"""The training files of a study, balanced over classes where there are some, in the published schemas (plus ``id``)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from pipestill.errors import UserError
from pipestill.io.records import Record, of_split, read_jsonl, write_jsonl
from pipestill.settings.annotation import RATIONALE
from pipestill.tasks import TASKS

FORMATS = ("teacher", "sft", "kd", "dpo", "stepwise")


def share_of(size: int, share: float) -> int:
    """How many of ``size`` rows a share of them is, at least one."""
    return max(1, round(share * size))


def balance(
    records: list[Record], labels: tuple[str, ...], per_class: int | None, seed: int, share: float = 1.0
) -> list[Record]:
    """As many records of each of ``labels`` as the rarest of them has, ``per_class`` at most, in a seeded order.

    Of these a ``share`` is taken. A smaller ``per_class`` or ``share`` takes a subset of what a larger one takes.

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
    size = share_of(min(size, per_class) if per_class else size, share)
    chosen = []
    for label, members in by_label.items():
        Random(f"balance {seed} {label}").shuffle(members)
        chosen += members[:size]
    Random(f"order {seed}").shuffle(chosen)
    return chosen


def select(
    records: list[Record], training_file: str, labels: tuple[str, ...], rows: int | None, seed: int, share: float = 1.0
) -> list[Record]:
    """The records that ``training_file`` is made of: balanced over ``labels``, or without them as they come.

    The teacher learns from the training split where there is no teacher split, which is so with ``teacher_share`` 0
    alone: :mod:`pipestill.data.splits` refuses to leave it empty otherwise.

    Args:
        rows: how many at most, of each label where there are labels; fewer are a subset of more.
        share: how much of that is taken; less is a subset of more.
    """
    own = of_split(records, "teacher") if training_file == "teacher" else []
    chosen = own or of_split(records, "train")
    if labels:
        return balance(chosen, labels, rows, seed, share)
    Random(f"order {seed}").shuffle(chosen)
    chosen = chosen[:rows]
    return chosen[: share_of(len(chosen), share)]


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


def stepwise_row(record: Record, rationale_prompt: Callable[[str], str], rationales: Mapping[str, str]) -> Record:
    """``{"id", "input", "output", "rationale_prompt", "rationale"}``: gold output and rationale of one document, each
    with its prompt; the last two are missing where there is no rationale."""
    row = sft_row(record)
    if record["id"] in rationales:
        row |= {"rationale_prompt": rationale_prompt(record["text"]), "rationale": rationales[record["id"]]}
    return row


def _of_teacher(outputs: Mapping[str, Record], record: Record) -> Record:
    if record["id"] not in outputs:
        raise UserError(f"the teacher's outputs hold nothing for record {record['id']}; make them again")
    return outputs[record["id"]]


def read_rationales(
    path: Path, records: list[Record], allow_missing: float, crop: Callable[[str, Record], str]
) -> dict[str, str]:
    """Rationales by id of ``records``, from a file of rows ``{"id", "rationale"}``.

    Raises:
        UserError: more than a share ``allow_missing`` of the records have none.
    """
    rows = {row["id"]: row.get(RATIONALE) for row in read_jsonl(path)}
    found = {record["id"]: crop(rows[record["id"]], record) for record in records if rows.get(record["id"])}
    missing = [record["id"] for record in records if record["id"] not in found]
    if len(missing) > allow_missing * len(records):
        raise UserError(
            f"{path} has no rationale for {len(missing)} of {len(records)} records, the first is {missing[0]}: run the "
            "annotation again, or raise `annotation.allow_missing`"
        )
    return found


def training_rows(
    records: list[Record],
    training_file: str,
    labels: tuple[str, ...],
    outputs: Mapping[str, Record] | None,
    seed: int,
    rationale_prompt: Callable[[str], str] | None = None,
    rationales: Mapping[str, str] | None = None,
) -> list[Record]:
    """Rows of ``training_file`` (one of ``FORMATS``) for ``records``; ``stepwise`` has rationales by record."""
    if training_file == "stepwise":
        return [stepwise_row(record, rationale_prompt, rationales) for record in records]
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
    rationales: Path | None = None,
    allow_missing: float = 0.0,
    crop: Callable[[str, Record], str] = lambda rationale, record: rationale,
    share: float = 1.0,
) -> None:
    """Write the rows that a method trains on, and validation rows with gold outputs in the same schema.

    Args:
        rationales: of the annotation, for ``stepwise``.
        allow_missing: share of the training and validation records that may have none.
        crop: shortens the rationale of a record.
        share: of the training rows that are taken; validation rows are all taken.
    """
    task, all_records = TASKS[name], read_jsonl(records)
    by_id = {row["id"]: row for row in read_jsonl(outputs)} if outputs else None
    chosen = select(all_records, training_file, task.labels, rows, seed, share)
    held_out = of_split(all_records, "validation")
    explained = {}
    if training_file == "stepwise":
        explained = read_rationales(rationales, of_split(all_records, "train") + held_out, allow_missing, crop)
    more = task.rationale_prompt, explained
    write_jsonl(train, training_rows(chosen, training_file, task.labels, by_id, seed, *more))
    write_jsonl(validation, training_rows(held_out, training_file, task.labels, None, seed, *more))
    print(f"{len(chosen)} training rows, {len(held_out)} validation rows")
