"""The keywords of JSON Schema (Draft 2020-12) that answers can follow, and the parts of a schema."""

from collections.abc import Iterator
from typing import Any

Node = dict[str, Any] | bool

TYPES = {  # keywords that say something of values of one type only
    "object": (
        *("properties", "required", "additionalProperties"),
        *("patternProperties", "minProperties", "maxProperties"),
    ),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
COMBINED = ("allOf", "anyOf", "oneOf")  # of a list of schemas
NAMED = ("properties", "patternProperties", "$defs", "definitions")  # of schemas by name
SINGLE = ("items", "additionalProperties")
ASSERTIONS = {"type", "enum", "const", "$ref", *COMBINED, *(key for keys in TYPES.values() for key in keys)}
NOTES = {  # say nothing of a value
    *("$schema", "$comment", "title", "description", "default", "examples", "example", "deprecated"),
    *("readOnly", "writeOnly", "contentEncoding", "contentMediaType"),
}
KNOWN = ASSERTIONS | NOTES | {"$defs", "definitions", "uniqueItems", "$id"}
REFUSED = {  # keywords that no grammar follows, and what to do
    "uniqueItems": "leave it out, or name the items as properties",
    "not": "say what is allowed instead",
    **dict.fromkeys(("if", "then", "else"), "write the cases as `anyOf`"),
    **dict.fromkeys(("contains", "minContains", "maxContains"), "say what every item is with `items`"),
    "propertyNames": "use `patternProperties`",
    **dict.fromkeys(("dependentRequired", "dependentSchemas", "dependencies"), "write the cases as `anyOf`"),
    "unevaluatedProperties": "use `additionalProperties`",
    **dict.fromkeys(("unevaluatedItems", "additionalItems"), "use `prefixItems` and `items`"),
    **dict.fromkeys(
        ("$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$recursiveAnchor", "$vocabulary", "id"),
        "refer by `$ref` and a JSON pointer such as `#/$defs/item`",
    ),
    "contentSchema": "leave it out: a text is not read as JSON",
    "nullable": 'write `"type": ["string", "null"]`',
}


def pointer(place: str, *steps: object) -> str:
    """The JSON pointer (as a fragment) of a part of the schema at ``place``."""
    return place + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def parts(node: Node, place: str) -> Iterator[tuple[str, str, Any]]:
    """The schemas directly inside of one: ``(keyword, JSON pointer, schema)``."""
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in SINGLE:
            yield key, pointer(place, key), value
        elif key in NAMED and isinstance(value, dict):
            for name, inner in value.items():
                yield key, pointer(place, key, name), inner
        elif key in (*COMBINED, "prefixItems") and isinstance(value, list):
            for index, inner in enumerate(value):
                yield key, pointer(place, key, index), inner


def walk(node: Node, place: str = "#", depth: int = 0) -> Iterator[tuple[str, int, Node]]:
    """Every schema in a schema, itself first: ``(JSON pointer, depth, schema)``."""
    yield place, depth, node
    for _, inner_place, inner in parts(node, place):
        yield from walk(inner, inner_place, depth + 1)


def asserts(node: dict[str, Any]) -> dict[str, Any]:
    """What a schema says of values, without notes and definitions."""
    return {key: value for key, value in node.items() if key in ASSERTIONS}


def find(content: dict[str, Any], reference: str) -> Any:
    """The part of a schema that a reference such as ``#/$defs/item`` means.

    Raises:
        LookupError: there is none.
    """
    from urllib.parse import unquote

    found: Any = content
    for step in unquote(reference.removeprefix("#")).split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        found = found[int(step)] if isinstance(found, list) and step.isdecimal() else found[step]
    return found
