"""The training file of an objective: records drawn, equal per stratum where answers have strata, and a row for each."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random

import numpy as np

from pipestill.answers.base import Answers, Said
from pipestill.answers.strata import strata_of
from pipestill.errors import UserError
from pipestill.io.files import write_json
from pipestill.io.records import Json, LineFile, Record, RecordFile, by_split, iterate_jsonl, line_writer, of_split
from pipestill.io.seals import again
from pipestill.io.sequences import ByKey, Chosen, shuffled
from pipestill.objectives.base import Objective, Sources
from pipestill.objectives.long_answers import Room
from pipestill.objectives.samples import Kept, with_kept
from pipestill.settings.annotation import ANSWER, RATIONALE
from pipestill.settings.jobs import TrainingFileSettings
from pipestill.tasks.base import Task

Crop = Callable[[str, Record], str]  # shortens the rationale of a record


def share_of(size: int, share: float) -> int:
    """How many of ``size`` rows a share of them is, at least one."""
    return max(1, round(share * size))


def draw(
    records: Sequence[Record], answers: Answers, rows: int | None, seed: int, share: float = 1.0
) -> Sequence[Record]:
    """At most ``rows`` records in a seeded order, equally many of each stratum; of these a ``share`` is taken.

    Smaller ``rows`` or ``share`` take a subset of what larger ones take.

    Raises:
        UserError: there is no record of a stratum, or no row for it.
    """
    own = strata_of(records, answers)
    strata = sorted(answers.strata, key=str)
    members = {stratum: np.flatnonzero(own == answers.strata.index(stratum)) for stratum in strata}
    for stratum, found in members.items():
        if not len(found):
            raise UserError(
                f"there are {len(records)} rows to train on, but none of class {stratum!r}; change the sizes and the "
                "`teacher_share` under `splits`"
            )
    limit = rows // len(strata) if rows else None
    if limit == 0:
        raise UserError(
            f"{rows} training rows are none for each of {len(strata)} classes; raise `train_rows` or `teacher_rows`"
        )
    size = min(map(len, members.values()))
    size = share_of(size if limit is None else min(size, limit), share)
    order = Random(f"order {seed}")
    if strata == [None]:
        return Chosen(records, shuffled(members[None], order)[:size])
    drawn = [shuffled(found, Random(f"balance {seed} {stratum}"))[:size] for stratum, found in members.items()]
    return Chosen(records, shuffled(np.concatenate(drawn), order))


def read_rationales(path: Path, records: list[Record], allow_missing: float, crop: Crop) -> dict[str, str]:
    """Rationales by id of ``records``, from a file of rows ``{"id", "rationale"}``.

    Raises:
        UserError: the file is broken, or more than a share ``allow_missing`` of the records have none.
    """
    rows: dict[str, str | None] = {}
    for number, row in enumerate(iterate_jsonl(path), 1):
        name, text = row.get("id"), row.get(RATIONALE)
        if not isinstance(name, str) or not isinstance(text, str | None):
            raise UserError(f"{path}, line {number}: `id` and `{RATIONALE}` must be text; run the annotation again")
        rows[name] = text
    found = {record.id: crop(rows[record.id], record) for record in records if rows.get(record.id)}
    missing = [record.id for record in records if record.id not in found]
    if len(missing) > allow_missing * len(records):
        raise UserError(
            f"{path} has no rationale for {len(missing)} of {len(records)} records, the first is {missing[0]}: raise "
            f"`annotation.allow_missing`, or annotate again; {again(path)}"
        )
    return found


def annotated_outputs(path: Path, records: Sequence[Record], answers: Answers, allow_missing: float) -> dict[str, Json]:
    """What the annotation answers to prompts without gold outputs (:class:`Said` as JSON), by id; texts that are no
    ``answers`` of their kind are none.

    Raises:
        UserError: more than a share ``allow_missing`` of the records have no answer.
    """
    rows, found = {row.get("id"): row for row in iterate_jsonl(path)}, {}
    for record in records:
        with suppress(ValueError):
            text = answers.read(rows.get(record.id, {}).get(ANSWER))
            found[record.id] = vars(Said(record.id, [text]))
    if len(found) < (1 - allow_missing) * len(records):
        raise UserError(
            f"{path} answers {len(found)} of {len(records)} prompts without gold outputs in a way that can be read: "
            f"let the question of the step `{ANSWER}` say how, or raise `annotation.allow_missing`"
        )
    return found


@dataclass(frozen=True)
class Unlabelled:
    """Prompts without gold outputs.

    Attributes:
        records: of the prompts.
        outputs: what is said to them (:class:`Said` as JSON), by id; none where that is still to be asked for.
    """

    records: Sequence[Record]
    outputs: Mapping[str, Json] | None = None


def made_rows(
    task: Task,
    objective: Objective,
    settings: TrainingFileSettings,
    records: Sequence[Record],
    outputs: Mapping[str, Json] | None,
    rationales: Mapping[str, str] | None,
    room: Room | None = None,
    unlabelled: Unlabelled | None = None,
    tell: Callable[[Kept], object] = lambda kept: None,
) -> Iterator[tuple[bool, Json]]:
    """Training rows, then validation rows with gold outputs in the same schema; each with whether it is to train on.
    ``tell`` is told what became of a teacher's several answers.

    Rows of ``unlabelled`` prompts follow those of records with gold outputs; none where the objective has no use for
    such prompts.

    The teacher learns from the training split where there is no teacher split, which is so only with a `teacher_share`
    of 0: layouts refuse to leave it empty otherwise.

    Raises:
        UserError: there are no rows, or, behind the last one, an answer has no ``room`` where that stops the run.
    """
    room, of = room or Room(), by_split(records)
    own = room.records(of[objective.file.split] or of["train"])
    chosen = draw(own, task.answers, settings.rows, settings.seed, settings.share)
    held_out = room.records(of["validation"])
    row = objective.file.row if unlabelled is None else objective.with_unlabelled.row
    asked = unlabelled.records[: settings.unlabelled] if unlabelled else []
    learnt = partial(objective.learnt, explained=settings.explained)
    with task.answers.lessons(task.answers.options(settings.answers)) as lessons:
        said = unlabelled and unlabelled.outputs
        drawn = settings.seed, chosen, settings.context
        taught = Sources(task, settings.prompt, lessons, outputs, said, rationales, *drawn)
        gold = replace(taught, outputs=None)
        rows_of: Iterable[Record] = chain(chosen, asked)
        if settings.keep:
            rows_of, said, kept = with_kept(rows_of, taught, settings.keep)
            taught = replace(taught, outputs=said, unlabelled_outputs=said)
            tell(kept)
        for made in room.rows((row(each, taught) for each in rows_of), learnt):
            yield True, made
        for made in room.rows((row(each, gold) for each in held_out), learnt):
            yield False, made
    room.check()


def separated(rows: Iterable[tuple[bool, Json]]) -> tuple[list[Json], list[Json]]:
    """Rows of :func:`made_rows`, where they are few: those to train on, and those to validate on."""
    found: dict[bool, list[Json]] = {True: [], False: []}
    for trains, row in rows:
        found[trains].append(row)
    return found[True], found[False]


def write_training_file(
    task: Task,
    objective: Objective,
    settings: TrainingFileSettings,
    files: dict[str, Path],
    crop: Crop,
    room: Room | None = None,
) -> None:
    """Write the training rows of an objective, and its validation rows.

    Args:
        task: of the records.
        objective: whose rows they are.
        settings: of the job.
        files: ``records``, ``train`` and ``validation`` to write; ``outputs`` and ``rationales`` where they are used,
            ``unlabelled`` records and ``unlabelled_outputs`` where there are such (without the latter, what the
            annotation answers is learnt), and ``long_answers`` to write, if they are to be counted.
        crop: shortens the rationale of a record.
        room: for each answer; none: any number of tokens.
    """
    records = RecordFile(files["records"])
    outputs, said = (_by_id(files.get(name)) for name in ("outputs", "unlabelled_outputs"))
    asked: Sequence[Record] = RecordFile(files["unlabelled"]) if files.get("unlabelled") else []
    rationales = None
    if files.get("rationales"):
        explained = of_split(records, "train") + of_split(records, "validation")
        known = {each.id for each in explained}
        explained += [each for each in asked if each.id not in known]
        rationales = read_rationales(files["rationales"], explained, settings.allow_missing, crop)
        said = annotated_outputs(files["rationales"], asked, task.answers, settings.allow_missing)
        asked = [each for each in asked if each.id in said]
    unlabelled = Unlabelled(asked, said) if files.get("unlabelled") else None
    room, counts, told = room or Room(), Counter(), []
    made_of = settings, records, outputs, rationales, room, unlabelled
    with line_writer(files["train"]) as train, line_writer(files["validation"]) as validation:
        for trains, row in made_rows(task, objective, *made_of, told.append):
            (train if trains else validation)(row)
            counts[trains] += 1
    written, held_out = (iterate_jsonl(files["train"]), by_split(records)["validation"]) if room.long else ((), ())
    counted = room.counted(written, {record.id for record in held_out if record.id in room.long})
    if files.get("long_answers"):
        kept = {"kept": told[0].model_dump()} if told else {}
        write_json(files["long_answers"], counted.model_dump() | kept)
    notes = [note for each in (counted, *told) for note in each.notes()]
    print("\n".join([f"{counts[True]} training rows, {counts[False]} validation rows", *notes]))


def _by_id(path: Path | None) -> Mapping[str, Json] | None:
    """What a model said, by the ids of what it answers; none without a file."""
    return path and ByKey(LineFile(path, Said, "make the teacher's outputs again"), lambda said: said.id, vars)
