"""Answers that are JSON by a schema: generated, by default only as the schema allows, and compared field by field."""

import json
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, WithJsonSchema, model_validator

from pipestill.answers.base import Definition, Lessons, Said
from pipestill.answers.generated import GeneratedAnswers, GeneratedOptions, GeneratedReply
from pipestill.answers.json.mistakes import mistaken
from pipestill.answers.json.writing import written
from pipestill.errors import UserError, shortened
from pipestill.io.parsing import BadJson, parse_json
from pipestill.io.records import Json, Record
from pipestill.job.halves import half, half_name
from pipestill.metrics.json_values import equal
from pipestill.metrics.tables import MetricTable
from pipestill.schemas.inferred import infer
from pipestill.schemas.schema import Schema
from pipestill.settings.section import Tokens

COMPARING = "pipestill.metrics.json_fields"  # apart, so that an edited metric re-runs what scores and nothing else
METRICS = ("field_f1", "exact_match", "schema_valid", "field_precision", "field_recall")


def _checked(given: Any) -> Any:
    """The text of a schema, from a file, from text that begins with a brace, or from the value that it is."""
    try:
        if isinstance(given, str) and not given.lstrip().startswith("{"):
            return Schema.read(Path(given)).text
        return Schema.of(given, "the schema").text if isinstance(given, str | dict) else given
    except UserError as error:
        raise ValueError(str(error)) from None


SchemaText = Annotated[str, BeforeValidator(_checked), WithJsonSchema({"type": ["string", "object"]})]

with warnings.catch_warnings():  # `schema` is a name that pydantic itself has given up
    warnings.filterwarnings("ignore", 'Field name "schema"', UserWarning)

    class JsonOptions(GeneratedOptions):
        """Settings of answers that are JSON."""

        reruns: ClassVar = {"*": "train predict"}
        trusted: ClassVar = frozenset({"schema"})

        decoding: Literal["constrained", "free"] = "constrained"
        """`constrained`: only tokens that the schema allows are taken, so that every whole answer is valid; `free`: all
        tokens are."""
        schema: SchemaText | None = None
        """Another JSON Schema (Draft 2020-12) than the task's, a file or the schema itself."""

        @model_validator(mode="after")
        def _no_further_limits(self) -> Self:
            if self.decoding == "constrained" and self.no_repeat_ngram_size:
                raise ValueError(
                    "`no_repeat_ngram_size` may forbid what the schema demands; remove it, or set `decoding: free`"
                )
            return self

        def used(self) -> Json:
            """The schema only if it is not the task's."""
            used = super().used()
            return used if self.schema else {name: used[name] for name in used if name != "schema"}

        def unserved(self) -> dict[str, str]:
            """What the schema allows, too."""
            held = {"decoding": "vLLM does not follow our schemas token by token; set `free`"}
            return super().unserved() | (held if self.decoding == "constrained" else {})

    class JsonDefinition(Definition):
        """JSON of a task that the configuration declares."""

        schema: SchemaText
        """JSON Schema (Draft 2020-12) of the answers, a file or the schema itself; its properties are written in their
        order."""
        max_new_tokens: Tokens = 512
        """Tokens at which an answer without an end is cut."""

        @classmethod
        def drafted(cls, values: Sequence[object]) -> Json:
            """A schema that all of them are valid by."""
            found = []
            for value in values:
                try:
                    found.append(parse_json(value) if isinstance(value, str) else value)
                except BadJson as error:
                    raise UserError(f"an answer is not JSON ({error}): {shortened(str(value))}") from None
            return {"schema": infer(found)}


class JsonReply(GeneratedReply):
    """JSON as text."""

    faults: list[str] = []
    """What is not valid by the schema, a sentence each."""


@dataclass(frozen=True)
class JsonObject(GeneratedAnswers):
    """JSON by ``schema``.

    Attributes:
        schema: that gold answers are valid by, and that models are held to.
        consistent: whether a valid value agrees with itself, such as a total with what it is the sum of.
    """

    schema: Schema = field(kw_only=True)
    consistent: Callable[[Any], bool] = field(default=lambda value: True, kw_only=True)
    metrics: tuple[str, ...] = METRICS

    Options: ClassVar = JsonOptions
    Reply: ClassVar = JsonReply
    Definition: ClassVar = JsonDefinition
    column: ClassVar[str] = "json"
    asked: ClassVar[tuple[str, ...]] = ("document",)

    @classmethod
    def of(cls, facts: Json) -> Self:
        """The schema is told as its text, in which its keys have their order."""
        return cls(**facts | {"schema": Schema(facts["schema"])})

    def read(self, value: object) -> str:
        """An object, or its text, in the one spelling that gold answers have.

        Raises:
            ValueError: it is no JSON, or not valid; says what is wrong first.
        """
        if isinstance(value, str):
            try:
                value = parse_json(value)
            except BadJson as error:
                raise ValueError(f"`{self.column}` is not JSON ({error})") from None
        if faults := self.schema.validate(value):
            raise ValueError(f"`{self.column}` is not valid by the schema, {faults[0]}")
        return written(self.schema.content, value)

    @property
    def scorers(self) -> tuple[str, ...]:
        """The module that compares fields."""
        return (COMPARING,)

    @property
    def tables(self) -> tuple[MetricTable, ...]:
        """All metrics in one."""
        return (MetricTable(self.metrics),)

    def schema_of(self, options: JsonOptions) -> Schema:
        """The schema that models are held to: that of the options, or the task's."""
        return Schema(options.schema) if options.schema else self.schema

    def formatted(self, name: str, schema: Json | None) -> Json:
        """Answers are JSON in any format, by the task's schema unless another one is given."""
        return {"schema": schema} if name == "json_schema" else {}

    @property
    def teaching(self) -> tuple[str, ...]:
        """The module that compares outputs."""
        return (half_name(self, "lessons"),)

    def lessons(self, options: JsonOptions) -> AbstractContextManager[Lessons]:
        """Lessons that compare outputs."""
        return nullcontext(half(self, "lessons").JsonLessons(self))

    def rejected(self, record: Record, said: Json | None, rng: Random) -> str:
        """The teacher's answer if it is wrong; otherwise the target with a mistake of a random kind."""
        gold = parse_json(record.target)
        for output in said["outputs"] if said else ():
            try:
                value = parse_json(output)
            except BadJson:
                return output
            if not equal(value, gold):
                return json.dumps(value, ensure_ascii=False)
        return written(self.schema.content, mistaken(self.schema.content, gold, rng))

    def score_one(self, said: Said, references: Sequence[str]) -> float:
        """The mean field F1 of its outputs."""
        return fmean(import_module(COMPARING).compare(output, references).f1 for output in said.outputs)
