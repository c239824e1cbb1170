"""Answers that are text: generated, and compared with references."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from random import Random
from statistics import fmean
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from pipestill.answers.base import Definition, Lessons, Said, Values
from pipestill.answers.generated import GeneratedAnswers, GeneratedOptions
from pipestill.errors import UserError
from pipestill.io.records import Json, Record
from pipestill.job.halves import half, half_name
from pipestill.metrics.measures import MEASURES, Measure
from pipestill.metrics.tables import MetricTable
from pipestill.settings.places import Repository
from pipestill.settings.section import Name, Section, Tokens


class BertScoreConfig(Section):
    """BERTScore of answers; without an encoder it is not computed."""

    reruns: ClassVar = {"*": "bertscore"}

    encoder: Name | None = None
    """The key of `models` that texts are compared by, a masked model."""
    layer: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Take the vectors behind this many of its layers; 0 are the embeddings."""
    baseline: Repository | None = None
    """Rescale, so that 0 is what unrelated texts score: `corpus`, pairs of references of the test set; or the name of a
    model whose baselines the bert-score library ships, such as `bert-base-multilingual-cased`."""

    @model_validator(mode="after")
    def _encoder_and_layer(self):
        if (self.encoder is None) != (self.layer is None):
            raise ValueError("`encoder` and `layer` are given together, or none of them")
        return self


class TextOptions(GeneratedOptions):
    """Settings of generated text and its metrics."""

    unasked: ClassVar = frozenset({"sampling_seeds", "bertscore"})
    measuring: ClassVar = frozenset({"bertscore"})
    bertscore: BertScoreConfig = BertScoreConfig()
    """BERTScore of the answers."""

    def used(self) -> Json:
        """Those of BERTScore only if there is some."""
        used = super().used()
        return used if self.bertscore.encoder else {name: used[name] for name in used if name != "bertscore"}


class TextDefinition(Definition):
    """Text of a task that the configuration declares."""

    max_new_tokens: Tokens = 64
    """Tokens at which an answer without an end is cut."""
    measure: Literal["short_answers", "summaries"] = "short_answers"
    """Metrics of the answers."""
    pairs: bool | None = None
    """Rows have a worse answer too, in the column `rejected`, which `dpo` learns from; as a local file has it when
    absent."""

    def completed(self, values: Callable[[], Iterator[Values]] | None) -> Self:
        """Pairs where the first row has a worse answer."""
        if self.pairs is not None:
            return self
        first = next(values(), None) if values else None
        return self.model_copy(update={"pairs": first is not None and first.rejected is not None})


@dataclass(frozen=True)
class Text(GeneratedAnswers):
    """Text that is compared with references.

    Attributes:
        measure: which metrics, and how answers are scored.
        extractive: whether sentences of the only input can be answers.
        pairs: whether rows have a worse answer too.
    """

    measure: Measure = field(kw_only=True)
    extractive: bool = False
    pairs: bool = False

    Options: ClassVar = TextOptions
    Definition: ClassVar = TextDefinition

    @classmethod
    def of(cls, facts: Json) -> Self:
        """The measure is told by its name."""
        return cls(**facts | {"measure": MEASURES[facts["measure"]], "pairs": bool(facts.get("pairs"))})

    @property
    def probed(self) -> bool:
        """True where perplexity is measured, which is read from logits."""
        return "perplexity" in self.metrics

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of its measure."""
        return self.measure.metrics

    @property
    def scorers(self) -> tuple[str, ...]:
        """The module of its measure."""
        return (self.measure.module,)

    @property
    def tables(self) -> tuple[MetricTable, ...]:
        """Those of its measure."""
        return self.measure.tables

    def models(self, options: TextOptions) -> dict[str, str]:
        """The encoder of BERTScore."""
        return {"bertscore.encoder": options.bertscore.encoder} if options.bertscore.encoder else {}

    @property
    def teaching(self) -> tuple[str, ...]:
        """The module that compares outputs."""
        return (half_name(self, "lessons"),)

    def lessons(self, options: TextOptions) -> AbstractContextManager[Lessons]:
        """Lessons that compare outputs."""
        return nullcontext(half(self, "lessons").TextLessons(self))

    def rejected(self, record: Record, said: Json | None, rng: Random) -> str:
        """The worse answer that the data have."""
        if record.rejected is None:
            raise UserError(f"record {record.id} has no worse answer to reject; give each row one")
        return record.rejected

    def can(self, name: str) -> bool:
        """Nothing is rejected where rows have no worse answer."""
        return super().can(name) and (self.pairs or name != "rejected")

    def score_one(self, said: Said, references: Sequence[str]) -> float:
        """The mean over its outputs."""
        return fmean(self.measure.functions.one(output, references) for output in said.outputs)
