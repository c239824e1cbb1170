"""What a teacher says to the prompts that students are trained on."""

from dataclasses import dataclass
from pathlib import Path

from pipestill.inference.loaded import load, prepare
from pipestill.inference.work import Work, fingerprint
from pipestill.io.files import write_json
from pipestill.io.lock import exclusive
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.job.halves import half
from pipestill.job.row_log import state_of
from pipestill.settings.jobs import ScoringSettings
from pipestill.tasks import TASKS


@dataclass(frozen=True)
class Places:
    """Where a job that asks a teacher reads and writes.

    Attributes:
        prompts: rows with ``id`` and ``input``, such as a study's ``sft.jsonl``.
        base: directory of the teacher's base model.
        teacher: directory of the fine-tuned teacher; none: the base model is taken as it is.
        state: directory that keeps what is finished from one attempt to the next.
        output: JSON Lines file to write.
        cost: JSON file to write: the cost of all attempts.
    """

    prompts: Path
    base: Path
    teacher: Path | None
    state: Path
    output: Path
    cost: Path


def write_teacher_outputs(settings: ScoringSettings, places: Places, threads: int) -> None:
    """Write what the teacher says (:class:`~pipestill.answers.base.Said`) to each prompt.

    Args:
        settings: how it is asked.
        places: where.
        threads: torch threads.
    """
    task = TASKS[settings.asking.task]
    prompts = {row["id"]: row["input"] for row in read_jsonl(places.prompts)}
    plan = prepare(settings, threads)
    models = [places.base, *([places.teacher] if places.teacher else [])]
    with exclusive(places.state):
        kept = state_of(places.state, fingerprint(settings, plan, places.prompts, models))
        answers = half(task.answers, "predict")
        with CostMeter(kept / "cost.json") as cost:
            loaded = load(places.base, places.teacher, plan)
            said = answers.say(task, loaded, settings.asking, prompts, Work(kept, cost, "teacher"))
        write_jsonl(places.output, said.values())
        write_json(places.cost, cost.total())
