"""Answers that are code: generated, and judged by running unit tests in the sandbox."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from pipestill.answers.base import Lessons, Said
from pipestill.answers.code.extraction import code_of
from pipestill.answers.generated import GeneratedAnswers, GeneratedOptions
from pipestill.io.records import Json, Record
from pipestill.job.halves import half, half_name
from pipestill.metrics.code import SIZES, same_code
from pipestill.metrics.tables import MetricTable
from pipestill.sandbox.measures import MEASURES
from pipestill.settings.models import BaseModelConfig
from pipestill.settings.section import Distinct, Section

PLANNING = "{question}\nFirst write a plan of it, a numbered step a line."
PLANNED = "{question}\nCarry out this plan:\n{plan}"
NOT_MEASURED = ("teacher_code", "allow_code_execution")  # options that decide what is learnt, or whether anything runs


class ExecutionConfig(Section):
    """The sandbox that code is run in."""

    reruns: ClassVar = {"*": "training_file evaluate"}

    cpu_seconds: Annotated[int, Field(ge=1, le=600)] = 2
    """Seconds of processor time of a program, and of its tests; of wall time they may take ten times as many."""
    memory_mb: Annotated[int, Field(ge=128, le=65536)] = 256
    """Memory of a program, with that of the interpreter (about 60), in MiB."""
    required: Annotated[list[Literal[tuple(MEASURES)]], Field(max_length=len(MEASURES)), Distinct] = ["limits"]
    """Measures without which nothing is run, such as `[mounts, network, seccomp]` where namespaces are available;
    docs/codegen.md lists them, and the report names those in force."""


class CodeOptions(GeneratedOptions):
    """Settings of generated code and of running it."""

    reruns: ClassVar = {
        "plan_then_code": "train predict evaluate",
        "pass_at": "evaluate",
        "teacher_code": "training_file",
        "allow_code_execution": "",
    }
    measuring: ClassVar = frozenset({"pass_at", "execution", "teacher_code", "allow_code_execution"})
    unasked: ClassVar = measuring | {"sampling_seeds"}
    learnt: ClassVar = frozenset({"execution", "teacher_code"})

    plan_then_code: bool = False
    """A model first writes a plan, and then its code with the plan before it."""
    pass_at: Annotated[list[Literal[SIZES]], Field(min_length=1, max_length=len(SIZES)), Distinct] = [1]
    """The k of pass@k, 1 among them: the share of problems that one of k answers solves. None is above the number of
    sampling seeds."""
    teacher_code: Literal["all", "passing"] = "all"
    """What `kd` learns of the teacher: all that it writes; or what passes its tests, and else the gold solution."""
    execution: ExecutionConfig = ExecutionConfig()
    """The sandbox that code is run in."""
    allow_code_execution: bool = False
    """Code of models from elsewhere is run too: of the hub, of `checkpoints`, of other directories than this
    project's."""

    def used(self) -> Json:
        """Those that a run's numbers depend on by themselves."""
        return {name: value for name, value in super().used().items() if name not in NOT_MEASURED}

    @model_validator(mode="after")
    def _draws_suffice(self):
        if 1 not in self.pass_at:
            raise ValueError("`pass_at` lacks 1, the one that decides; add it")
        answers = len(self.seeds())
        if max(self.pass_at) > answers:
            raise ValueError(
                f"`pass_at` {max(self.pass_at)} needs as many answers to a problem, and there "
                f"{'is' if answers == 1 else 'are'} {answers}: set `sampling` and give more `sampling_seeds`"
            )
        return self


@dataclass(frozen=True)
class Code(GeneratedAnswers):
    """Python that is judged by tests, which records carry in ``meta`` as ``setup`` and ``tests``."""

    Options: ClassVar = CodeOptions
    run_to_judge: ClassVar = True
    metrics: ClassVar[tuple[str, ...]] = (*(f"pass_at_{k}" for k in SIZES), "compile_rate", "exact_match")

    @property
    def tables(self) -> tuple[MetricTable, ...]:
        """All metrics in one."""
        return (MetricTable(self.metrics),)

    @property
    def scorers(self) -> tuple[str, ...]:
        """The module of its metrics."""
        return ("pipestill.metrics.code",)

    @property
    def selecting(self) -> str:
        """Exact match, as training jobs run no code."""
        return "exact_match"

    @property
    def teaching(self) -> tuple[str, ...]:
        """The module that runs solutions."""
        return (half_name(self, "lessons"),)

    def planning(self, question: str) -> str:
        """The prompt that asks for a plan."""
        return PLANNING.format(question=question)

    def planned(self, question: str, plan: str) -> str:
        """The prompt that asks for code with a plan."""
        return PLANNED.format(question=question, plan=plan)

    def check_models(self, options: CodeOptions, models: Mapping[str, BaseModelConfig | None]) -> None:
        """Code of models from elsewhere is run only where that is allowed."""
        for place, model in models.items():
            if not options.allow_code_execution and (model is None or not model.is_shipped):
                raise ValueError(
                    f"allow_code_execution: the code that `{place}` writes would be run on this machine, and that "
                    "model is from elsewhere; set it to true to run it in the sandbox"
                )

    @contextmanager
    def lessons(self, options: CodeOptions) -> Iterator[Lessons]:
        """Lessons that run code in a sandbox of their own."""
        with ExitStack() as stack:
            yield half(self, "lessons").CodeLessons(self, options, stack)

    def rejected(self, record: Record, said: Json | None, rng: Random) -> str:
        """A solution that fails its tests."""
        with self.lessons(self.options({})) as lessons:
            return lessons.rejected(record, said, rng)

    def score_one(self, said: Said, references: Sequence[str]) -> float:
        """The mean exact match of its outputs."""
        return fmean(same_code(code_of(output), references) for output in said.outputs)
