"""Context distillation (Askell et al. 2021, Snell et al. 2022): what a model answers with a context, learnt without it.

The teacher reads a context C before the question X, the student X alone; the loss is KL(p(answer | C, X) || p(answer |
X)) over the tokens or the labels of the answer, mixed with cross-entropy on gold outputs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipestill.answers.demonstrations import Demonstrations
from pipestill.io.records import Json, Record
from pipestill.objectives.base import CONTEXT_OUTPUTS, Sources, TeacherUse, TrainingFile, output_row
from pipestill.objectives.divergence import Divergence, SharedOptions
from pipestill.settings.contexts import ContextSettings, TeacherContext
from pipestill.settings.section import CleanText, Section, Seed, Share, Word

CONTEXT = "context"  # store of what teachers find likely with a context
Kind = Literal["demonstrations", "hint", "instruction", "demonstrations+hint"]


class ContextOptions(SharedOptions):
    """Context distillation."""

    reruns: ClassVar = {
        "*": "training_file",
        "kd_rate": "train",
        "teacher": "teacher_distributions_shard",
        "answers": "context_outputs",
    }

    kd_rate: Share = 1.0
    """The loss is (1 - kd_rate) cross-entropy + kd_rate divergence; 1: gold outputs are not learnt."""
    teacher_context: Kind = "demonstrations"
    """Context that the teacher reads: solved training rows; the gold answer (`hint`); a guideline; or two of them."""
    teacher: Literal["self", "study"] = "self"
    """The teacher: the student's own base model, or the study's teacher, fine-tuned or as it is."""
    answers: Literal["gold", "teacher"] = "gold"
    """Answers at whose tokens the teacher's distributions are learnt: `gold` ones, or those that the teacher generates
    with its context, for answers that are texts."""
    shots: Annotated[int, Field(ge=1, le=10_000)] = 8
    """Demonstrations, as equal per class as they can be; a row is never its own."""
    seed: Seed = 1
    """Seed of the draw of demonstrations."""
    draws: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Draws of demonstrations, which rows are divided among."""
    instruction: CleanText = ""
    """The guideline, for `instruction`; it may stand before demonstrations too."""
    hint: Word = "teacher"
    """Prompt that shows the gold answer, for contexts with a `hint`: one of the task's that is `privileged`."""

    @property
    def demonstrated(self) -> bool:
        """True if there are demonstrations."""
        return "demonstrations" in self.teacher_context

    @property
    def hinted(self) -> bool:
        """True if the gold answer is shown."""
        return "hint" in self.teacher_context


class RowContexts:
    """What the teacher reads in place of the question of each row.

    Args:
        settings: of the context.
        sources: of the rows.
    """

    def __init__(self, settings: TeacherContext, sources: Sources):
        self.settings = settings
        answers = sources.task.answers
        seeds = range(settings.seed, settings.seed + settings.draws)
        self.draws = [Demonstrations(sources.pool, answers, seed) for seed in seeds] if settings.shots else []

    def row(self, record: Record, target: str) -> Json:
        """``{"question", "answer", "demonstrations"}``: the teacher's, and ids of the rows that it reads before.

        Args:
            record: that is asked about.
            target: what is learnt; where it is not the gold output, ``gold`` is what the record shows as a
                demonstration; none where no gold output is known.
        """
        prompt, shots = self.settings.prompt, self.settings.shots
        shown = record.target if prompt.privileged else None
        found = {"question": prompt.fill(record.inputs, shown), "answer": prompt.answer(target)}
        if target != record.target:
            found["gold"] = prompt.answer(record.target) if record.labelled else None
        ids: list[str] = []
        if self.draws:
            drawn = Random(f"draw of {self.settings.seed} {record.id}").choice(self.draws)
            ids = [each.id for each in drawn.take(shots, without=record.id)]
        return found | {"demonstrations": ids}


def context_row(record: Record, sources: Sources) -> Json:
    """``{"id", "input", "output", "question", "answer", "demonstrations"}``: the gold output or the teacher's, and what
    the teacher reads (:meth:`RowContexts.row`)."""
    said, lessons = sources.said(record), sources.lessons
    target = record.target
    if said is not None:
        target = lessons.taught(record, said) if record.labelled else lessons.likeliest(said)
    return output_row(record, sources, target) | sources.made(RowContexts, sources.context).row(record, target)


def with_gold(rows: Iterable[Json]) -> Iterator[Json]:
    """Those rows whose gold output is known."""
    return (row for row in rows if row.get("gold", "") is not None)


CD = TrainingFile("cd", context_row, judged=True)


@dataclass(frozen=True)
class ContextDistillation(Divergence):
    """Context distillation.

    Attributes:
        kind: of the divergence.
    """

    kind: str = "fkl"
    file: TrainingFile = CD
    teacher: TeacherUse = "unused"
    store: str = CONTEXT

    section: ClassVar = "context"
    Options: ClassVar = ContextOptions
    with_unlabelled: ClassVar = CD

    @property
    def settings(self) -> type[Section]:
        """Its options."""
        return ContextOptions

    def sources(self, options: ContextOptions) -> frozenset[str]:
        """What the teacher says with its context, where that is learnt."""
        return frozenset({CONTEXT_OUTPUTS}) if options.answers != "gold" else frozenset()

    def unlabelled_source(self, options: ContextOptions) -> str | None:
        """What the teacher says with its context, unless that shows gold answers."""
        return None if options.hinted else CONTEXT_OUTPUTS

    def asks_teacher(self, options: ContextOptions) -> bool:
        """True if the study's teacher reads the context."""
        return options.teacher == "study"

    def online(self, options: ContextOptions) -> bool:
        """Never: the teacher reads each row with its context once."""
        return False

    def cached(self, options: ContextOptions) -> bool:
        """Always."""
        return True

    def on_policy(self, options: ContextOptions) -> None:
        """Never: no teacher stands beside the student."""

    def context(self, options: ContextOptions) -> ContextSettings:
        """What stands before questions."""
        return ContextSettings(shots=options.shots if options.demonstrated else 0, instruction=options.instruction)

    def hint(self, options: ContextOptions) -> str | None:
        """As configured."""
        return options.hint if options.hinted else None

    def own(self, options: ContextOptions) -> dict[str, float | bool | str]:
        """None: its divergence has no options beside the common ones."""
        return {}

    def used(self, options: ContextOptions) -> Json:
        """Those of its kind of context."""
        unused = set() if options.demonstrated else {"shots", "seed", "draws"}
        return options.model_dump(exclude=unused | (set() if options.hinted else {"hint"}))
