"""JSON Schemas of many shapes that answers can follow, and ones that they cannot."""

from typing import Any


def an_object(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), **more}


SHORT = {"type": "string", "maxLength": 6}
DIGIT = {"type": "integer", "minimum": 0, "maximum": 9}
TREE = an_object(
    {"name": SHORT, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2}}, "name"
)

FOLLOWED: dict[str, dict[str, Any]] = {
    "nested objects": an_object({"a": an_object({"b": an_object({"c": DIGIT}, "c")}, "b")}, "a"),
    "optional properties": an_object({"a": DIGIT, "b": SHORT, "c": {"type": "boolean"}, "d": {"type": "null"}}, "c"),
    "no required ones": an_object({"a": DIGIT, "b": DIGIT}),
    "enum of all types": {"enum": ["a", 1, 2.5, None, True, [1, {"x": "y"}], {"k": [None]}]},
    "enum beside a type": {"type": "integer", "enum": [1, 2, "x", 3.0, 4.5]},
    "const": {"const": {"a": [1, 2.5, 'é"\\\n\t/'], "b": None}},
    "anyOf": {"anyOf": [DIGIT, SHORT, {"type": "array", "items": DIGIT, "maxItems": 2}]},
    "oneOf by type": {"oneOf": [{"type": "null"}, SHORT]},
    "oneOf by a const": {
        "oneOf": [
            an_object({"kind": {"const": "a"}, "x": DIGIT}, "kind", "x", additionalProperties=False),
            an_object({"kind": {"const": "b"}, "y": SHORT}, "kind", "y", additionalProperties=False),
        ]
    },
    "at least one of two": an_object({"a": DIGIT, "b": DIGIT}, anyOf=[{"required": ["a"]}, {"required": ["b"]}]),
    "allOf": {
        "allOf": [an_object({"a": DIGIT}, "a"), an_object({"b": SHORT}, "b"), {"properties": {"a": {"minimum": 5}}}]
    },
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3}(\\.[a-c]+)?$"},
    "pattern that is not anchored": {"type": "string", "pattern": "[0-9]{2}", "maxLength": 9},
    "pattern of escapes": {"type": "string", "pattern": '^["\\\\/\\n\\té]{3,5}$'},
    "pattern and lengths": {"type": "string", "pattern": "^[a-z]+$", "minLength": 3, "maxLength": 5},
    "lengths of control characters": {"type": "string", "minLength": 4, "maxLength": 5},
    "dates": {"type": "string", "format": "date"},
    "leap days": {"type": "string", "format": "date", "pattern": "-02-29$"},
    "moments": an_object(
        {"a": {"type": "string", "format": "date-time"}, "b": {"type": "string", "format": "time"}}, "a", "b"
    ),
    "addresses": an_object(
        {
            name: {"type": "string", "format": name}
            for name in ("uuid", "ipv4", "ipv6", "email", "hostname", "uri", "duration")
        },
        "uuid",
        "email",
        "uri",
    ),
    "integers": {
        "type": "array",
        "items": {"type": "integer", "exclusiveMinimum": -12, "maximum": 1200},
        "maxItems": 4,
    },
    "numbers": {"type": "array", "items": {"type": "number", "minimum": -0.5, "exclusiveMaximum": 7.25}, "maxItems": 4},
    "multiples": an_object(
        {"a": {"type": "number", "multipleOf": 0.01}, "b": {"type": "integer", "multipleOf": 7}}, "a", "b"
    ),
    "numbers without bounds": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 4},
    "items": {"type": "array", "items": SHORT, "minItems": 2, "maxItems": 3},
    "prefix items": {"type": "array", "prefixItems": [DIGIT, SHORT], "items": False, "minItems": 2},
    "references": {
        **an_object({"a": {"$ref": "#/$defs/short", "minLength": 2}, "b": {"$ref": "#/$defs/a~1b%25"}}, "a", "b"),
        "$defs": {"short": SHORT, "a/b%": {"type": ["integer", "null"], "minimum": 3, "maximum": 5}},
    },
    "a tree": {"$ref": "#/$defs/tree", "$defs": {"tree": TREE}},
    "a list of itself": {"type": "array", "items": {"anyOf": [DIGIT, {"$ref": "#"}]}, "maxItems": 2},
    "no other properties": an_object({"a": DIGIT}, "a", additionalProperties=False),
    "other properties by default": an_object({"a": DIGIT}, "a"),
    "other properties": an_object({"a": DIGIT}, "a", additionalProperties=DIGIT),
    "a map": {"type": "object", "additionalProperties": DIGIT},
    "a map of few keys": {"type": "object", "patternProperties": {"^[ab]$": DIGIT}, "additionalProperties": False},
    "nullable": an_object(
        {"a": {"type": ["string", "null"], "maxLength": 4}, "b": {"type": ["number", "null"]}}, "a", "b"
    ),
    "keys of all kinds": an_object(
        {"größe": DIGIT, "名前": SHORT, 'a"b\\c': DIGIT, "😀 x": DIGIT, "": DIGIT},
        "größe",
        "名前",
        'a"b\\c',
        "😀 x",
        "",
    ),
    "required but not described": {"type": "object", "properties": {"a": DIGIT}, "required": ["a", "b"]},
    "anything": {},
    "a long string": {"type": "string"},
    "without a type": {"properties": {"a": {"minimum": 1, "maximum": 3}}, "required": ["a"]},
}

REFUSED: dict[str, tuple[Any, str]] = {  # a schema, and what the sentence says
    "uniqueItems": ({"type": "array", "uniqueItems": True}, "`uniqueItems` at # "),
    "not": (an_object({"a": {"not": {"type": "null"}}}), "`not` at #/properties/a "),
    "if": ({"allOf": [{"if": {"type": "string"}, "then": {"maxLength": 3}}]}, "`if` at #/allOf/0 "),
    "contains": ({"type": "array", "contains": DIGIT}, "`contains` at #"),
    "propertyNames": ({"type": "object", "propertyNames": {"maxLength": 3}}, "`propertyNames`"),
    "dependentRequired": ({"type": "object", "dependentRequired": {"a": ["b"]}}, "`dependentRequired`"),
    "unevaluatedProperties": (
        {"type": "object", "unevaluatedProperties": False, "$dynamicRef": "#a"},
        "`\\$dynamicRef`",
    ),
    "nullable": (an_object({"a/b": {"type": "string", "nullable": True}}), "`nullable` at #/properties/a~1b"),
    "unknown keyword": ({"type": "string", "maxlength": 3}, "`maxlength` at # is no keyword"),
    "unknown format": ({"type": "string", "format": "iri"}, '`format` "iri" at # .* date-time'),
    "reference outside": ({"$ref": "https://example.org/s.json"}, "`\\$ref` .* leads out of the schema"),
    "reference to another file": ({"$ref": "other.json#/a"}, "leads out of the schema"),
    "reference to nothing": ({"$ref": "#/$defs/a"}, "leads nowhere"),
    "reference to a value": (
        {"properties": {"a": {"$ref": "#/required"}}, "required": ["a"]},
        "leads to what is no schema",
    ),
    "circle": ({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, DIGIT]}}}, "refers to itself"),
    "endless value": (
        {"$ref": "#/$defs/a", "$defs": {"a": an_object({"a": {"$ref": "#/$defs/a"}}, "a")}},
        "`\\$ref` at #/\\$defs/a/properties/a .*unsatisfiable",
    ),
    "look-ahead": ({"type": "string", "pattern": "^(?!a)b"}, "`pattern` at #, .*look-around"),
    "no pattern": ({"type": "string", "pattern": "(a"}, "`pattern` at #.* is not a regular expression"),
    "slow pattern": ({"type": "string", "pattern": "(a+)+$"}, "`pattern` at #.* takes for ever"),
    "slow key": ({"type": "object", "patternProperties": {"(a+)+$": {}}}, "`patternProperties` at #.* takes for ever"),
    "overlapping oneOf": (
        an_object({"a": {"oneOf": [{"type": "integer"}, {"type": "number"}]}}),
        "`oneOf` at #/properties/a",
    ),
    "counted properties": (an_object({"a": DIGIT, "b": DIGIT, "c": DIGIT}, minProperties=2), "`minProperties` at #"),
    "nothing is valid": ({"type": "string", "minLength": 5, "maxLength": 2}, "`minLength` at # .*Unsatisfiable"),
    "empty enum": ({"type": "integer", "enum": ["a"]}, "`enum` at #"),
    "no type": ({"type": "strin"}, "not a JSON Schema: .* at #/type"),
    "no number": ({"type": "integer", "minimum": "3"}, "not a JSON Schema: .* at #/minimum"),
    "negative length": (an_object({"x": {"maxLength": -1}}), "not a JSON Schema: .* at #/properties/x/maxLength"),
    "old draft": ({"$schema": "http://json-schema.org/draft-04/schema#"}, "`\\$schema` at #"),
    "old items": ({"type": "array", "items": [DIGIT]}, "not a JSON Schema: .* at #/items"),
    "too many digits": ('{"const": 0.1234567890123456789}', "`const` at # has the number .* too many digits"),
    "large integer": ({"enum": [2**60]}, "`enum` at # has the number"),
    "too large": ({"enum": ["x" * 40_000]}, "has 40013 bytes, and at most 32768"),
    "too many properties": (an_object({f"p{n}": DIGIT for n in range(501)}), "`properties`: the schema has 501"),
    "too many values": ({"enum": list(range(2001))}, "`enum`: the schema has 2001"),
    "a list": ([], "is not an object"),
    "true": ("true", "is not an object"),
    "cut": ('{"type": "object",\n "properties": {', "line 2: this is not JSON"),
    "twice": ('{"type": "object", "type": "array"}', "the key `type` twice"),
    "not a number": ('{"enum": [NaN]}', "NaN in place of a number"),
    "two texts": ('{"type": "object"} {}', "line 1: this is not JSON: Extra data"),
    "keys that look the same": ('{"properties": {"\\u00e9": {}, "e\\u0301": {}}}', "two keys are the same text"),
}


def too_deep() -> dict[str, Any]:
    schema: dict[str, Any] = DIGIT
    for _ in range(25):
        schema = {"type": "array", "items": schema}
    return schema


REFUSED["too deep"] = (too_deep(), "lies 25 schemas deep, and at most 24")
