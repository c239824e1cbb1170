"""What a teacher answers to the prompts of students after it has read the context of each."""

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from pipestill.answers.base import Said
from pipestill.inference.loaded import load, prepare
from pipestill.inference.work import Work, fingerprint
from pipestill.io.files import write_json
from pipestill.io.lock import exclusive
from pipestill.io.records import read_records, write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.job.halves import half
from pipestill.job.row_log import state_of
from pipestill.methods import method_of
from pipestill.objectives.training_file import training_rows
from pipestill.settings.jobs import ContextOutputSettings
from pipestill.tasks import TASKS
from pipestill.text.context import Context


@dataclass(frozen=True)
class Places:
    """Where the job reads and writes.

    Attributes:
        records: cropped records.
        base: directory of the teacher's base model.
        teacher: directory of the fine-tuned teacher; none: the base model is taken as it is.
        state: directory that keeps what is finished from one attempt to the next.
        output: JSON Lines file to write.
        cost: JSON file to write: the cost of all attempts.
    """

    records: Path
    base: Path
    teacher: Path | None
    state: Path
    output: Path
    cost: Path


def write_context_outputs(settings: ContextOutputSettings, places: Places, threads: int) -> None:
    """Write what the teacher says (:class:`~pipestill.answers.base.Said`) to the question of each training row.

    Args:
        settings: of the rows, and how the teacher is asked.
        places: where.
        threads: torch threads.
    """
    task, context = TASKS[settings.asking.task], settings.rows.context
    objective = method_of(settings.rows.method).objective
    rows, _ = training_rows(task, objective, settings.rows, read_records(places.records), None, None)
    solved = {row["id"]: (row["question"], row["answer"]) for row in rows}
    groups: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)  # questions by their demonstrations
    for row in rows:
        groups[tuple(row["demonstrations"])][row["id"]] = row["question"]
    plan = prepare(settings, threads)
    models = [places.base, *([places.teacher] if places.teacher else [])]
    with exclusive(places.state):
        kept = state_of(places.state, fingerprint(settings, plan, places.records, models))
        answers = half(task.answers, "predict")
        with CostMeter(kept / "cost.json") as cost:
            loaded = load(places.base, places.teacher, plan)
            work, said = Work(kept, cost, "teacher with a context"), dict[str, Said]()
            for ids, questions in groups.items():
                shown = tuple(solved[name] for name in ids)
                own = replace(loaded, context=Context(context.instruction, shown, context.prompt.separator))
                said |= answers.say(task, own, settings.asking, questions, work)
        write_jsonl(places.output, said.values())
        write_json(places.cost, cost.total())
