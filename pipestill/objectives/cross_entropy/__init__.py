"""Cross-entropy on the tokens of answers: gold ones, or those of a teacher (sequence-level distillation)."""

from dataclasses import dataclass

from pipestill.io.records import Json, Record
from pipestill.objectives.base import OUTPUTS, SFT, Objective, Sources, TeacherUse, TrainingFile
from pipestill.settings.section import Section


def teacher_row(record: Record, sources: Sources) -> Json:
    """``{"id", "input", "teacher_output"}``: what the teacher says, or the gold output without a teacher."""
    said, lessons = sources.said(record), sources.lessons
    output = record.target if said is None else lessons.taught(record, said) if record.labelled else lessons.said(said)
    return {"id": record.id, "input": sources.asked(record), "teacher_output": sources.answer(output)}


KD = TrainingFile("kd", teacher_row, answer="teacher_output", judged=True, sampled=True)


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """Cross-entropy on the answers of a training file.

    Attributes:
        file: what it is trained on.
        teacher: whether the file is made from the teacher's outputs.
    """

    file: TrainingFile = SFT
    teacher: TeacherUse = "unused"

    @property
    def with_unlabelled(self) -> TrainingFile | None:
        """The teacher's outputs are learnt whether there are gold ones or not."""
        return None if self.teacher == "unused" else self.file

    def sources(self, options: Section) -> frozenset[str]:
        """The teacher's outputs, where the file has them."""
        return frozenset() if self.teacher == "unused" else frozenset({OUTPUTS})
