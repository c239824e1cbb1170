"""The base of all sections of the configuration, and the kinds of values that they share."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    create_model,
    model_serializer,
)
from pydantic_core import CoreSchema, core_schema

from pipestill.errors import shortened
from pipestill.io.normal import clean
from pipestill.settings.reruns import declared

NAME = r"^[a-z][a-z0-9.-]*$"  # of models, tasks and studies: no underscore, so that <study>_<method> splits one way
LONGEST_NAME = 64  # characters; <study>@<percent>_<method> is the name of a directory
BESIDE = (".", ".lock", ".partial")  # endings of what lies beside a directory while it is made
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_EXPONENT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")
T = TypeVar("T")


def _lies_alone(name: str) -> str:
    if name.endswith(BESIDE):
        raise ValueError(f"a name does not end with {' or '.join(f'`{ending}`' for ending in BESIDE)}")
    return name


def _on_one_line(text: str) -> str:
    if CONTROL.search(text) or not text.strip():
        raise ValueError("this holds nothing, or characters that are no text; write a name")
    return text


def _distinct(values: Sequence[T]) -> Sequence[T]:
    seen = set()
    for value in values:
        if value in seen:
            raise ValueError(f"`{shortened(value)}` is listed twice")
        seen.add(value)
    return values


Distinct = AfterValidator(_distinct)
Name = Annotated[str, Field(pattern=NAME, max_length=LONGEST_NAME), AfterValidator(_lies_alone)]
Word = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_on_one_line)]
Title = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_on_one_line)]
Share = Annotated[float, Field(ge=0, le=1)]
Part = Annotated[float, Field(gt=0, lt=1)]
NonzeroShare = Annotated[float, Field(ge=1e-6, le=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Tokens = Annotated[int, Field(ge=1, le=2**20)]
Temperature = Annotated[float, Field(ge=0.01, le=100)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
CleanText = Annotated[str, AfterValidator(clean)]  # that a model reads or writes; not a path


def _numbers(schema: Any) -> Iterator[CoreSchema]:
    """Parts of a core schema that are numbers, but for keys, which are texts in JSON; those of sections below have been
    seen to."""
    for part in [schema[key] for key in schema if key != "keys_schema"] if isinstance(schema, dict) else schema:
        if isinstance(part, dict) and part.get("type") in ("int", "float"):
            if not part.get("strict"):
                yield part
        elif isinstance(part, dict | list | tuple):
            yield from _numbers(part)


def _be_strict(number: CoreSchema) -> None:
    number["strict"] = True
    if number["type"] == "float":
        exact = dict(number)
        number.clear()
        number.update(core_schema.no_info_before_validator_function(_as_number, exact))


def _as_number(given: Any) -> Any:
    """A number that YAML 1.1 reads as text, for want of a dot or a sign: `5e-4`."""
    return float(given) if isinstance(given, str) and _EXPONENT.fullmatch(given) else given


class Section(BaseModel):
    """A mapping of the configuration: unknown keys are refused, every key has a description, numbers are finite, and
    neither texts nor `true` and `false` stand for them.

    Attributes:
        reruns: rules that run first, by key, when its value has changed, as in ``{"epochs": "train", "*": ""}``, where
            ``*`` is for all other keys; what is made of their results follows. A section below has declarations of its
            own or that of its key; where its key is named, only the rules count that are named for it.
    """

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
    reruns: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """As for any model, but strict about numbers."""
        schema = handler(source)
        for number in list(_numbers(handler.resolve_ref_schema(schema))):
            _be_strict(number)
        return schema

    @classmethod
    def without_effect(cls) -> set[str]:
        """Keys that no result depends on."""
        return {key for key in cls.model_fields if declared(cls, key) == frozenset()}


class Override(Section):
    """A section of which only some keys are given; the others are not written either."""

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any] | None:
        if self is None:  # a section below that is not given itself
            return None
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


@cache
def partial(section: type[Section]) -> type[Override]:
    """The same section with every key optional, for overrides."""
    fields: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            kind = partial(kind)
        constraints = field.metadata
        fields[name] = (
            Annotated[kind, *constraints] if constraints else kind,
            Field(None, description=field.description),
        )
    made = create_model(f"{section.__name__}Override", __base__=Override, __doc__=section.__doc__, **fields)
    made.reruns = {name: " ".join(rules) for name in fields if (rules := declared(section, name)) is not None}
    return made


def holds_sections(annotation: Any) -> bool:
    """True for a section, several of them, or one that may be absent."""
    found = isinstance(annotation, type) and issubclass(annotation, Section)
    return found or any(map(holds_sections, get_args(annotation)))
