"""Distilling step-by-step (Hsieh et al. 2023): answers and a larger model's rationales are learnt together."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pipestill.io.records import Json, Record
from pipestill.objectives.base import RATIONALES, Objective, Part, Sources, TrainingFile, output_row
from pipestill.settings.section import Section, Share
from pipestill.tasks.base import RATIONALE
from pipestill.text.marker import join


class StepwiseOptions(Section):
    """Distilling step-by-step."""

    reruns: ClassVar = {"*": "train", "mode": "training_file"}

    mode: Literal["multi_task", "single_task"] = "multi_task"
    """`multi_task`: answers and rationales are two tasks, told apart by their prompts; `single_task`: the rationale, a
    marker and the answer are one text, of which only what follows the marker is scored."""
    alpha: Share = 0.5
    """The loss is alpha (mean over the tokens of answers) + (1 - alpha) (mean over the tokens of rationales), for
    `multi_task`."""
    one_pass: bool = True
    """Answers and rationales of a batch go through the model together; otherwise one after the other, which takes
    longer and about half of the memory. For `multi_task`."""

    @property
    def two_tasks(self) -> bool:
        """True if rationales are learnt as a task of their own."""
        return self.mode == "multi_task"


def explained_row(record: Record, sources: Sources) -> Json:
    """``{"id", "input", "output", "rationale_prompt", "rationale"}``: gold output, or that of the annotation, and
    rationale, each with its prompt; the last two are missing where there is no rationale."""
    output = record.target if record.labelled else sources.lessons.said(sources.said(record))
    row, rationale = output_row(record, sources, output), (sources.rationales or {}).get(record.id)
    if rationale is None:
        return row
    return {**row, "rationale_prompt": sources.task.prompts[RATIONALE].fill(record.inputs), "rationale": rationale}


STEPWISE = TrainingFile("stepwise", explained_row)


@dataclass(frozen=True)
class Stepwise(Objective):
    """Distilling step-by-step."""

    file: TrainingFile = STEPWISE

    section: ClassVar = "stepwise"
    Options: ClassVar = StepwiseOptions
    with_unlabelled: ClassVar = STEPWISE
    parts: ClassVar[tuple[Part, ...]] = (
        Part("prediction_loss", "of predictions {:.4f}"),
        Part("rationale_loss", "of rationales {:.4f}"),
    )

    def sources(self, options: StepwiseOptions) -> frozenset[str]:
        """Rationales."""
        return frozenset({RATIONALES})

    def unlabelled_source(self, options: StepwiseOptions) -> str:
        """The annotation's rationales and answers."""
        return RATIONALES

    def explains(self, options: StepwiseOptions) -> bool:
        """In the single-task variant."""
        return not options.two_tasks

    def learnt(self, row: Json, explained: bool) -> dict[str, str]:
        """Answer and rationale, where there is one; or both in one text, which loses of its rationale."""
        texts = super().learnt(row, explained)
        if (rationale := row.get("rationale")) is not None:
            texts["rationale"] = join(rationale, row[self.file.answer]) if explained else rationale
        return texts

    def used(self, options: StepwiseOptions) -> Json:
        """One text has no use for what mixes two tasks."""
        return options.model_dump(exclude=set() if options.two_tasks else {"alpha", "one_pass"})
