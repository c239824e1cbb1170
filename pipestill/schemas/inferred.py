"""A JSON Schema that values have in common, as a beginning for one by hand."""

from collections.abc import Sequence
from typing import Any

from pipestill.io.records import Json

TYPES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}


def infer(values: Sequence[Any]) -> Json:
    """A schema that all ``values`` are valid by: their types, and the properties that objects have.

    Properties that every object has are required, in the order in which they are first seen; others are refused. What
    texts and numbers may be is left open.
    """
    types = list(dict.fromkeys(TYPES[type(value)] for value in values))
    if "number" in types and "integer" in types:
        types.remove("integer")
    schema: Json = {"type": types[0] if len(types) == 1 else types}
    if objects := [value for value in values if isinstance(value, dict)]:
        names = list(dict.fromkeys(name for each in objects for name in each))
        schema["properties"] = {name: infer([each[name] for each in objects if name in each]) for name in names}
        schema["required"] = [name for name in names if all(name in each for each in objects)]
        schema["additionalProperties"] = False
    if items := [item for value in values if isinstance(value, list) for item in value]:
        schema["items"] = infer(items)
    return schema
