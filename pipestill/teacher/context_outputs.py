"""What a teacher answers to the prompts of students after it has read the context of each."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from pipestill.answers.base import Said
from pipestill.inference.loaded import Loaded
from pipestill.inference.work import Work
from pipestill.io.records import read_records
from pipestill.job.halves import half
from pipestill.methods import method_of
from pipestill.objectives.training_file import Unlabelled, made_rows, separated
from pipestill.settings.jobs import ContextOutputSettings
from pipestill.tasks import task_of
from pipestill.teacher.outputs import Places, write_said
from pipestill.text.context import Context


def write_context_outputs(
    settings: ContextOutputSettings, places: Places, threads: int, devices: int = 1, unlabelled: Path | None = None
) -> None:
    """Write what the teacher says (:class:`~pipestill.answers.base.Said`) to the question of each training row.

    Args:
        settings: of the rows, and how the teacher is asked.
        places: where; ``data`` are cropped records.
        threads: torch threads.
        devices: that an engine may divide the teacher among.
        unlabelled: records without gold outputs, to ask about them alone.
    """
    task, context = task_of(settings.asking), settings.rows.context
    objective = method_of(settings.rows.method).objective
    records = read_records(unlabelled) if unlabelled else []
    rows, _ = separated(
        made_rows(task, objective, settings.rows, read_records(places.data), None, None, unlabelled=Unlabelled(records))
    )
    solved = {row["id"]: (row["question"], row["answer"]) for row in rows}
    asked = {each.id for each in records} or solved.keys()
    groups: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)  # questions by their demonstrations
    for row in rows:
        if row["id"] not in asked:
            continue
        groups[tuple(row["demonstrations"])][row["id"]] = row["question"]

    def say(loaded: Loaded, work: Work) -> dict[str, Said]:
        said: dict[str, Said] = {}
        for ids, questions in groups.items():
            shown = tuple(solved[name] for name in ids)
            own = replace(loaded, context=Context(context.instruction, shown, context.prompt.separator))
            said |= half(task.answers, "predict").say(task, own, settings.asking, questions, work)
        return said

    write_said(settings, places, threads, say, devices)
