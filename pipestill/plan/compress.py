"""Sections about compressed students: further rows of a study, each made from one of its students."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field, create_model, model_validator

from pipestill.losses.kinds import KINDS
from pipestill.methods import BASE, METHODS, SFT, Method, method_of
from pipestill.settings.compression import Prune, Quantize
from pipestill.settings.section import Section, Word

FROM = "from"  # a key that Python has no name for
DIVERGENCES = tuple(name for name in KINDS if name in METHODS)
_From = create_model(
    "From",
    __base__=Section,
    **{
        FROM: (
            Word,
            Field(
                SFT,
                description="A method of the study, whose student of the same seed is compressed; or `base`, the "
                "student before any training: recovery is then all of its training.",
            ),
        )
    },
)


@dataclass(frozen=True)
class Recovery:
    """What a compressed student learns from.

    Attributes:
        words: the same in a sentence.
        parent: from the student as it was.
        teacher: from the study's teacher.
    """

    words: str
    parent: bool = False
    teacher: bool = False


RECOVERIES = {
    "cross_entropy": Recovery("on gold outputs"),
    "self": Recovery("from itself as it was", parent=True),
    "teacher": Recovery("from the teacher", teacher=True),
}


class RecoverConfig(Section):
    """Training after pruning, or under fake quantisation, of all weights that are left; what is not said here is as in
    the training of the student that is compressed (of SFT, where that is `base`)."""

    reruns: ClassVar = {"*": "compress"}

    objective: Literal[tuple(RECOVERIES)] = next(iter(RECOVERIES))
    """Loss: `cross_entropy` on gold outputs; or that mixed with a divergence from the student as it was before
    (`self`), or from the study's `teacher`, as `training.divergence` says."""
    divergence: Literal[DIVERGENCES] | None = None
    """The divergence; `fkl` where nothing is said."""
    epochs: Annotated[float, Field(ge=0.001, le=10_000)] | None = None
    """Passes over the training data."""
    max_steps: Annotated[int, Field(ge=1, le=10**7)] | None = None
    """Optimizer steps; overrides `epochs`."""
    learning_rate: Annotated[float, Field(ge=1e-9, le=1)] | None = None
    """Peak learning rate."""

    @model_validator(mode="after")
    def _divergence_has_a_use(self):
        if self.divergence and not self.diverges:
            raise ValueError(
                "`divergence` has no use with `cross_entropy`: set `objective` to `teacher` or `self`, or leave it out "
                "(in an overlay: `null`)"
            )
        return self

    @property
    def learns(self) -> Recovery:
        """What it learns from."""
        return RECOVERIES[self.objective]

    @property
    def diverges(self) -> bool:
        """True if it learns from what a model finds likely."""
        return self.learns.parent or self.learns.teacher

    @property
    def method(self) -> str:
        """The method whose objective it has."""
        return (self.divergence or "fkl") if self.diverges else SFT


class CompressConfig(_From):
    """A further row of a study: a student of it, pruned, trained to recover, and quantised, in this order."""

    reruns: ClassVar = {FROM: "compress", "prune": "compress", "quantize": "compress"}

    prune: Prune | None = None
    """What is taken out first."""
    recover: RecoverConfig | None = None
    """Training of what is left; with `quantize.qat`, under fake quantisation, and by cross-entropy unless said
    otherwise."""
    quantize: Quantize | None = None
    """Number format of the weights at the end."""

    @model_validator(mode="after")
    def _compresses(self):
        if self.prune is None and self.quantize is None:
            raise ValueError("nothing is compressed; say what to `prune` or how to `quantize`")
        return self

    @property
    def parent(self) -> str:
        """The method whose student is compressed, or ``base``."""
        return getattr(self, FROM)

    @property
    def training(self) -> RecoverConfig | None:
        """Training that it takes, if any."""
        fake = self.quantize is not None and self.quantize.qat
        return self.recover or (RecoverConfig() if fake else None)

    @property
    def trained_as(self) -> str:
        """The method whose objective and training file it has; where nothing is trained, for rows to calibrate on."""
        return self.training.method if self.training else SFT

    @property
    def origin(self) -> str:
        """The method whose training it goes on from, or has from the start."""
        return SFT if self.parent == BASE else self.parent

    def entry(self, name: str) -> Method:
        """The row as a method."""
        objective = METHODS[self.trained_as].objective
        if self.training and self.training.learns.parent:
            objective = replace(objective, teacher="unused")  # the study's, that is
        return Method(name, f"{self._sentence()}.", objective)

    def _sentence(self) -> str:
        of = "The untrained student" if self.parent == BASE else f"The student of {method_of(self.parent).title}"
        steps = [f"{of}, compressed"]
        if self.prune:
            share = "" if self.prune.amount is None else f" by {100 * self.prune.amount:.10g} %"
            steps.append(f"pruned{share} ({self.prune.kind})")
        if self.training:
            how = f" {METHODS[self.trained_as].title}"
            fake = " with rounded weights" if self.quantize and self.quantize.qat else ""
            steps.append(f"trained{fake} by{how} {self.training.learns.words}")
        if self.quantize:
            steps.append(f"quantised to {self.quantize.scheme}")
        return f"{steps[0]}: {', '.join(steps[1:])}"
