"""What a teacher says to the prompts that students are trained on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipestill.answers.base import Said
from pipestill.inference.engines import Models, Place
from pipestill.inference.loaded import Loaded, prepare
from pipestill.inference.work import Work, fingerprint
from pipestill.io.files import write_json
from pipestill.io.lock import exclusive
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.job.engines import engine_of
from pipestill.job.halves import half
from pipestill.job.row_log import state_of
from pipestill.settings.jobs import OutputSettings, ScoringSettings
from pipestill.tasks import task_of


@dataclass(frozen=True)
class Places:
    """Where a job that asks a teacher reads and writes.

    Attributes:
        data: what it is asked about: rows with ``id`` and ``input``, such as a study's ``sft.jsonl``, or records.
        base: directory of the teacher's base model.
        teacher: directory of the fine-tuned teacher; none: the base model is taken as it is.
        state: directory that keeps what is finished from one attempt to the next.
        output: JSON Lines file to write.
        cost: JSON file to write: the cost of all attempts.
    """

    data: Path
    base: Path
    teacher: Path | None
    state: Path
    output: Path
    cost: Path


def write_teacher_outputs(settings: OutputSettings, places: Places, threads: int, devices: int = 1) -> None:
    """Write what the teacher says (:class:`~pipestill.answers.base.Said`) to each prompt: its likeliest answer first,
    and further ones that are drawn, where the settings ask for some.

    Args:
        settings: how it is asked.
        places: where.
        threads: torch threads.
        devices: that an engine may divide the teacher among.
    """
    task = task_of(settings.asking)
    prompts = {row["id"]: row["input"] for row in read_jsonl(places.data)}

    def say(loaded: Loaded, work: Work) -> dict[str, Said]:
        asked = half(task.answers, "predict")
        said = asked.say(task, loaded, settings.asking, prompts, work)
        if settings.drawing:
            drawn = asked.draw(task, loaded, settings.asking, settings.drawing, prompts, work)
            for key, found in said.items():
                found.outputs += drawn[key]
        return said

    tokens = settings.asking.max_prompt_tokens + settings.asking.max_new_tokens
    write_said(settings, places, threads, say, devices, tokens)


def write_said(
    settings: ScoringSettings,
    places: Places,
    threads: int,
    say: Callable[[Loaded, Work], dict[str, Said]],
    devices: int = 1,
    tokens: int | None = None,
) -> None:
    """Load a teacher, let it ``say`` something, and write that and its cost; a killed job is resumed.

    Args:
        settings: how it is asked.
        places: where.
        threads: torch threads.
        say: what it says.
        devices: that an engine may divide the teacher among.
        tokens: of a prompt and its answer at most; none: nobody knows.
    """
    engine = engine_of(settings.engine)
    plan = engine.planned(prepare(settings, threads))
    models = [places.base, *([places.teacher] if places.teacher else [])]
    with exclusive(places.state):
        kept = state_of(places.state, fingerprint(settings, plan, places.data, models))
        asked = Models(places.base, places.teacher)
        with (
            CostMeter(kept / "cost.json") as cost,
            engine.opened(asked, plan, Place(kept, devices, tokens)) as loaded,
        ):
            said = say(loaded, Work(kept, cost, "teacher"))
        write_jsonl(places.output, said.values())
        write_json(places.cost, cost.total())
