"""A JSON Schema that answers follow; what could not be followed is refused before any work."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Self

from pipestill.errors import UserError, quoted, shortened
from pipestill.io.digests import canonical_json
from pipestill.io.normal import cleaned
from pipestill.io.parsing import BadJson, parse_json
from pipestill.schemas import bounds, validation
from pipestill.schemas.formats import CHECKS
from pipestill.schemas.keywords import COMBINED, KNOWN, REFUSED, find, parts, pointer, walk
from pipestill.text.patterns import check_pattern

SIZE = 32_768  # bytes of a schema as JSON without spaces
DEPTH = 24  # schemas in each other
PROPERTIES = 500  # that a schema names, all objects together
VALUES = 2000  # of all `enum` together
SEPARATORS = (", ", ": ")  # of items and of keys, as `json.dumps` writes them
ESCAPES = '"\\bfnrt'  # letters behind a backslash, as `json.dumps(ensure_ascii=False)` writes them
BLAMED = (  # for what the engine refuses, the first that is there
    *("oneOf", "minProperties", "maxProperties", "pattern", "multipleOf", "minItems", "minLength", "minimum", "enum"),
    *("const", "required", "$ref", "allOf", "anyOf", "prefixItems"),
)
WRITING = {
    "whitespace_flexible": False,
    "item_separator": SEPARATORS[0],
    "key_separator": SEPARATORS[1],
    "json_allowed_escapes": ESCAPES,
}


class NotJson(ValueError):
    """A text that is not one JSON value; the message says why, in a few words."""


def parse(text: str) -> Any:
    """The value that ``text`` is; numbers with a point or an exponent are Decimals.

    Raises:
        NotJson: it is not JSON, or holds a key twice in one object, a number that is none (NaN), or half a character.
    """
    try:
        return parse_json(text, exact=True)
    except BadJson as error:
        raise NotJson(str(error)) from None


class Grammar(NamedTuple):
    """What the engine writes by.

    Attributes:
        text: the grammar.
        maps: whether objects have keys that the schema does not name, so that one could come twice.
    """

    text: str
    maps: bool


@dataclass(frozen=True)
class Schema:
    """A schema, checked; made by :meth:`of`.

    Attributes:
        text: the schema as JSON, its keys in their order, which is that of properties in answers.
    """

    text: str

    @classmethod
    def of(cls, content: str | dict[str, Any], where: str) -> Self:
        """The schema that ``content`` is.

        Args:
            content: as JSON, or as the value that it is.
            where: the file or key that it comes from, for messages.

        Raises:
            UserError: it is no schema, too large, or none that answers can follow; names keyword and JSON pointer.
        """
        try:
            text = content if isinstance(content, str) else json.dumps(content, allow_nan=False, ensure_ascii=False)
            value = cleaned(parse_json(text, exact=True))
        except BadJson as error:
            line = f", line {error.line}" if error.line else ""
            raise UserError(f"{where}{line}: this is not JSON: {error}; mend it") from None
        except (TypeError, ValueError) as error:
            raise UserError(f"{where}: this is not JSON: {error}; mend it") from None
        try:
            _check(value)
            schema = cls(json.dumps(validation.plain(value), ensure_ascii=False))
            _ = schema.grammar
        except ValueError as error:
            raise UserError(f"{where}: {error}") from None
        return schema

    @classmethod
    def read(cls, path: Path) -> Self:
        """The schema in a file.

        Raises:
            UserError: it cannot be read, or see :meth:`of`.
        """
        try:
            return cls.of(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: the schema cannot be read: {error}") from None

    @cached_property
    def content(self) -> dict[str, Any]:
        """The schema as a value."""
        return json.loads(self.text)

    @property
    def grammar(self) -> Grammar:
        """The grammar of what is written by the schema, with :mod:`.bounds` where it has none."""
        return _grammar(self.text)

    def validate(self, value: Any) -> list[str]:
        """What is wrong with ``value``, by a validator that is not the engine; see :func:`.validation.faults`."""
        return validation.faults(self.text, value)

    def accepts(self, answer: str) -> bool:
        """True if a text is JSON that is valid, its numbers as they are written."""
        try:
            return not self.validate(parse(answer))
        except NotJson:
            return False

    def canonical(self, value: Any) -> str:
        """``value`` as JSON in one spelling; see :func:`.validation.canonical`."""
        return validation.canonical(value)


def _check(content: Any) -> None:
    """Refuse what is no schema, and what answers cannot follow; raises ValueError."""
    if not isinstance(content, dict):
        raise ValueError('the schema is not an object; write one such as {"type": "object", "properties": ...}')
    if (size := len(canonical_json(validation.plain(content)).encode())) > SIZE:
        raise ValueError(f"the schema has {size} bytes, and at most {SIZE} can be followed; leave parts out")
    _check_meta(content)
    named = listed = 0
    for place, depth, node in walk(content):
        if depth > DEPTH:
            raise ValueError(
                f"{_short(place)} lies {depth} schemas deep, and at most {DEPTH} can be followed; flatten it"
            )
        if isinstance(node, dict):
            _check_node(node, place, content)
            named += len(node.get("properties", ()))
            listed += len(node.get("enum", ()))
    for what, count, most in (("properties", named, PROPERTIES), ("enum", listed, VALUES)):
        if count > most:
            raise ValueError(f"`{what}`: the schema has {count} of them in all, and at most {most} can be followed")
    _check_circles(content)


def _check_meta(content: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    drafts = ("2020-12", "2019-09", "draft-07", "draft-06")
    named = content.get("$schema", drafts[0])
    if not (isinstance(named, str) and any(draft in named for draft in drafts)):
        raise ValueError(f"`$schema` at # is {quoted(named)}; schemas are read as Draft 2020-12")
    if error := best_match(meta.iter_errors(validation.plain(content))):
        place = pointer("#", *error.absolute_path)
        raise ValueError(f"this is not a JSON Schema: {shortened(error.message, 120)}, at {_short(place)}; mend it")


def _check_node(node: dict[str, Any], place: str, content: dict[str, Any]) -> None:
    for key in node:
        at = f"`{key}` at {_short(place)}"
        if key in REFUSED and node[key] is not False:
            raise ValueError(f"{at} cannot be followed while an answer is written; {REFUSED[key]}")
        if key not in KNOWN and key not in REFUSED and not key.startswith("x-"):
            raise ValueError(f"{at} is no keyword that is known here; correct it, or leave it out")
        if key == "$id" and place != "#":
            raise ValueError(f"{at} gives a part another address; leave it out")
    if (name := node.get("format")) is not None and name not in CHECKS:
        raise ValueError(
            f"`format` {quoted(name)} at {_short(place)} cannot be followed; use one of {', '.join(CHECKS)}, "
            "or a `pattern`"
        )
    for key, patterns in (
        ("pattern", [node["pattern"]] if "pattern" in node else []),
        ("patternProperties", node.get("patternProperties", ())),
    ):
        for pattern in patterns:
            _check_pattern(pattern, f"`{key}` at {_short(place)}")
    for value in (*node.get("enum", ()), *([node["const"]] if "const" in node else ())):
        _check_value(value, f"`{'enum' if 'enum' in node else 'const'}` at {_short(place)}")
    if "$ref" in node:
        _check_reference(node["$ref"], f"`$ref` {quoted(node['$ref'])} at {_short(place)}", content)


def _check_pattern(pattern: str, at: str) -> None:
    from llguidance import LLMatcher

    try:
        check_pattern(pattern)
    except ValueError as error:
        raise ValueError(f"{at}: {error}") from None
    if fault := LLMatcher.validate_grammar(LLMatcher.grammar_from_regex(pattern)):
        raise ValueError(f"{at}, {quoted(pattern)}, cannot be followed: {_reason(fault)}")


def _check_value(value: Any, at: str) -> None:
    """Refuse numbers that are not what floats say they are."""
    if isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            _check_value(each, at)
    elif not isinstance(value, str | bool | None) and (
        abs(value) > 2**53 or validation.exact(validation.plain(value)) != value
    ):
        raise ValueError(f"{at} has the number {shortened(value)}, which has too many digits; write it as a string")


def _check_reference(reference: str, at: str, content: dict[str, Any]) -> None:
    if reference != "#" and not reference.startswith("#/"):
        raise ValueError(f"{at} leads out of the schema; put its target into `$defs` and write `#/$defs/...`")
    try:
        target = find(content, reference)
    except (LookupError, TypeError):
        raise ValueError(f"{at} leads nowhere; put its target into `$defs`") from None
    if not any(target is node for _, _, node in walk(content)):
        raise ValueError(f"{at} leads to what is no schema; put its target into `$defs`")


def _check_circles(content: dict[str, Any]) -> None:
    """Refuse references that come back to themselves before anything is said of a value."""

    def same_value(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for key, _, inner in parts(node, "#"):
                if key in COMBINED:
                    yield from same_value(inner)

    def visit(reference: str, path: tuple[str, ...]) -> None:
        if reference in path:
            raise ValueError(f"`$ref` {quoted(reference)} refers to itself before it says anything of a value; mend it")
        if reference not in seen:
            for each in same_value(find(content, reference)):
                visit(each, (*path, reference))
            seen.add(reference)

    seen: set[str] = set()
    for _, _, node in walk(content):
        for reference in same_value(node):
            visit(reference, ())


@lru_cache(maxsize=32)
def _grammar(text: str) -> Grammar:
    """The grammar of a checked schema.

    Raises:
        ValueError: the engine refuses it; names the part.
    """
    from llguidance import LLMatcher

    content = json.loads(text)
    making = bounds.Bounds(content)
    grammar = LLMatcher.grammar_from_json_schema(json.dumps(making.bounded()), overrides=WRITING)
    if fault := LLMatcher.validate_grammar(grammar):
        raise ValueError(_refusal(content, fault, LLMatcher.grammar_from_json_schema, LLMatcher.validate_grammar))
    return Grammar(grammar, making.maps)


def _refusal(content: dict[str, Any], fault: str, compiled: Callable, check: Callable) -> str:
    """What the engine refuses, and the innermost part of the schema for which it does."""
    definitions = {key: content[key] for key in ("$defs", "definitions") if key in content}
    place = "#"
    for each, _, node in walk(content):
        if isinstance(node, dict) and len(each) > len(place) and each.startswith(place):
            whole = {**definitions, **node}
            try:
                found = check(compiled(json.dumps(bounds.Bounds(whole).bounded()), overrides=WRITING))
            except LookupError:  # it refers to a part that is not with it
                continue
            if found and found.splitlines()[0][:40] == fault.splitlines()[0][:40]:
                place = each
    keyword = next((key for key in BLAMED if key in find(content, place)), "type")
    if keyword == "oneOf":
        return (
            f"`oneOf` at {_short(place)} has cases that may overlap; give each a `const` of its own, or write `anyOf`"
        )
    return f"`{keyword}` at {_short(place)} cannot be followed: {_reason(fault)}; change it"


def _reason(fault: str) -> str:
    """The line of the engine's message that says why."""
    lines = [line.strip() for line in fault.splitlines()]
    reason = next((line for line in lines if line.startswith("error: ")), lines[0])
    return shortened(reason.removeprefix("error: "), 200)


def _short(place: str) -> str:
    return shortened(place, 120)
