"""The base of all sections of the configuration."""

from functools import cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    create_model,
    model_serializer,
)

from pipestill.io.normal import clean

NAME = r"^[a-z][a-z0-9.-]*$"  # of models, tasks and studies: no underscore, so that <study>_<method> splits one way
Name = Annotated[str, Field(pattern=NAME)]
Share = Annotated[float, Field(ge=0, le=1)]
Part = Annotated[float, Field(gt=0, lt=1)]
NonzeroShare = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
CleanText = Annotated[str, AfterValidator(clean)]  # that a model reads or writes; not a path


class Section(BaseModel):
    """A mapping of the configuration: unknown keys are refused, every key has a description."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


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
    return create_model(f"{section.__name__}Override", __base__=Override, __doc__=section.__doc__, **fields)
