"""The schema that answers are written by: the user's, with bounds where it has none, so that a weak model stops.

Whatever is valid by it is valid by the user's schema: bounds only take away. They are added where a part of the schema
says all that is said of a value; where several parts do (`allOf`, or a combination beside other keywords), they are
added to the whole.
"""

from collections.abc import Iterator
from typing import Any

from pipestill.schemas.formats import PATTERNS
from pipestill.schemas.keywords import COMBINED, TYPES, Node, asserts, find, parts, walk

LENGTH = 256  # characters of a string
KEY_LENGTH = 64  # characters of a key that the schema does not name
LARGEST = 10**15 - 1  # of a number, either way: floats keep it and six digits behind the point, if it has fewer before
STEP = 1e-6  # numbers have six digits behind the point
ITEMS = 32  # of an array
MEMBERS = 16  # of an object whose keys the schema does not name
RECURSION = 4  # times that a value may hold values of its own kind
FREE_DEPTH = 2  # lists and objects in each other, where the schema says nothing of a value

KEY = f"^[^\\x00-\\x1f]{{0,{KEY_LENGTH}}}$"


class Bounds:
    """Makes the bounded schema of ``content``, which is checked.

    Attributes:
        maps: whether objects have keys that the schema does not name, so that one could come twice.
    """

    def __init__(self, content: dict[str, Any]):
        self.content, self.definitions, self.maps = content, {}, False
        self.names: dict[tuple[str, bool, int], str | None] = {}
        self.recursive = frozenset(_recursive(content))

    def bounded(self) -> dict[str, Any]:
        """The schema to write by."""
        root = self._bound(self.content, whole=True, level=0)
        root = {"allOf": [root]} if isinstance(root, bool) else root
        return {**root, "$defs": self.definitions}

    def _bound(self, node: Node, whole: bool, level: int) -> Node:
        if isinstance(node, bool):
            return self._free(FREE_DEPTH) if node and whole else node
        said = asserts(node)
        if whole and not said:
            return self._free(FREE_DEPTH)
        combined = [key for key in (*COMBINED, "$ref") if key in said]
        if not combined and {"enum", "const"} & said.keys():
            return _listed(said)
        alone = whole and (not combined or len(said) == 1 or (len(combined) == 1 == len(said.keys() - {"type"})))
        alone = alone and len(said.get("allOf", [0])) == 1
        inner = {key: self._part(key, value, alone, level) for key, value in said.items()}
        if inner.get("$ref", "") is None:
            return False
        if "format" in inner:
            inner = _with_pattern(inner)
        if not whole or (combined and alone and "type" not in said):
            return inner
        return self._limited(inner, list(self._fragments(node)) if combined else [said])

    def _part(self, key: str, value: Any, alone: bool, level: int) -> Any:
        if key == "$ref":
            return self._refer(value, alone, level)
        if key in ("properties", "patternProperties"):
            return {name: self._bound(each, alone, level) for name, each in value.items()}
        if key in COMBINED or key == "prefixItems":
            return [self._bound(each, alone, level) for each in value]
        return self._bound(value, alone, level) if key in ("items", "additionalProperties") else value

    def _refer(self, reference: str, whole: bool, level: int) -> str | None:
        """The bounded schema that a reference means; none where nothing is valid by it."""
        level += reference in self.recursive
        if level > RECURSION:
            return None
        key = (reference, whole, level)
        if key not in self.names:
            self.names[key] = None
            if bounded := self._bound(find(self.content, reference), whole, level):
                self.names[key] = f"part@{len(self.definitions)}"
                self.definitions[self.names[key]] = bounded
        return self.names[key] and f"#/$defs/{self.names[key]}"

    def _fragments(self, node: Node, seen: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
        """What is said of the same value, here and in combined schemas."""
        if isinstance(node, bool):
            return
        yield asserts(node)
        if (reference := node.get("$ref")) and reference not in seen:
            yield from self._fragments(find(self.content, reference), (*seen, reference))
        for key, _, inner in parts(node, "#"):
            if key in COMBINED:
                yield from self._fragments(inner, seen)

    def _limited(self, inner: dict[str, Any], fragments: list[dict[str, Any]]) -> dict[str, Any]:
        """One schema that says all of a value, with bounds."""

        def said(key: str) -> list[Any]:
            return [each[key] for each in fragments if key in each]

        types = _types(fragments)
        if not (said("type") or said("enum") or said("const")):
            inner = inner | {"type": sorted(types)}
        if said("enum") or said("const"):
            return inner
        if "string" in types and not said("maxLength"):
            inner = inner | {"maxLength": max([LENGTH, *said("minLength")])}
        if types & {"number", "integer"}:
            low, high = said("minimum") + said("exclusiveMinimum"), said("maximum") + said("exclusiveMaximum")
            if not low or max(low) < -LARGEST:
                inner = inner | {"minimum": min([-LARGEST, *high])}
            if not high or min(high) > LARGEST:
                inner = inner | {"maximum": max([LARGEST, *low])}
            if "number" in types and not said("multipleOf"):
                inner = inner | {"multipleOf": STEP}
        if "array" in types:
            if not said("items"):
                inner = inner | {"items": self._free(FREE_DEPTH - 1)}
            if not said("maxItems"):
                inner = inner | {"maxItems": max([ITEMS, *said("minItems")])}
        return self._closed(inner, fragments) if "object" in types else inner

    def _closed(self, inner: dict[str, Any], fragments: list[dict[str, Any]]) -> dict[str, Any]:
        """An object with the keys that its schema names; only if it names none, or allows for others, with others."""
        named = [name for each in fragments for name in each.get("properties", ())]
        needed = [name for each in fragments for name in each.get("required", ())]
        others = [each["additionalProperties"] for each in fragments if "additionalProperties" in each]
        if any("patternProperties" in each for each in fragments):
            self.maps = True
            return inner if others else inner | {"additionalProperties": False}
        if others and (named or others == [False]):
            self.maps = self.maps or False not in others
            return inner
        if named or needed:
            free = {name: self._free(FREE_DEPTH - 1) for name in needed if name not in named}
            properties = {name: True for name in named} | free | inner.get("properties", {})
            return inner | {"properties": properties, "additionalProperties": False}
        self.maps = True
        value = inner.get("additionalProperties", self._free(FREE_DEPTH - 1))
        most = {} if any("maxProperties" in each for each in fragments) else {"maxProperties": MEMBERS}
        least = [each["minProperties"] for each in fragments if "minProperties" in each]
        most = {key: max([size, *least]) for key, size in most.items()}
        return inner | {"patternProperties": {KEY: value}, "additionalProperties": False} | most

    def _free(self, depth: int) -> dict[str, Any]:
        """Any value, with up to ``depth`` lists and objects in each other."""
        name = f"free@{depth}"
        if name not in self.definitions:
            number = {"type": "number", "minimum": -LARGEST, "maximum": LARGEST, "multipleOf": STEP}
            kinds = [{"type": "null"}, {"type": "boolean"}, number, {"type": "string", "maxLength": LENGTH}]
            if depth:
                self.maps = True
                value = self._free(depth - 1)
                members = {"patternProperties": {KEY: value}, "additionalProperties": False}
                kinds += [
                    {"type": "array", "items": value, "maxItems": ITEMS},
                    {"type": "object", "maxProperties": MEMBERS, **members},
                ]
            self.definitions[name] = {"anyOf": kinds}
        return {"$ref": f"#/$defs/{name}"}


def _types(fragments: list[dict[str, Any]]) -> set[str]:
    """Types that a value may have: those that are named, or those that keywords are of."""
    named = [
        {kind} if isinstance(kind, str) else set(kind) for kind in (each.get("type") for each in fragments) if kind
    ]
    if named:
        return set.union(*named)
    return {kind for kind, keys in TYPES.items() if any(key in each for each in fragments for key in keys)}


def _listed(said: dict[str, Any]) -> Node:
    """A schema that lists its values, without those that its other keywords exclude."""
    import json

    from pipestill.schemas.validation import faults

    whole = json.dumps(said)
    kept = [value for value in said.get("enum", [said.get("const")]) if not faults(whole, value)]
    return {"enum": kept} if kept else False


def _with_pattern(inner: dict[str, Any]) -> dict[str, Any]:
    """A schema with the pattern of its format, where we have one, in place of the format."""
    pattern = PATTERNS[inner["format"]]
    if pattern is None:
        return inner
    inner = {key: value for key, value in inner.items() if key != "format"}
    both = {"pattern": f"^(?:{pattern})$"}
    return inner | {"allOf": [*inner.get("allOf", []), both]} if "pattern" in inner else inner | both


def _recursive(content: dict[str, Any]) -> Iterator[str]:
    """References to schemas that refer, by way of others or not, to themselves."""
    references = {node["$ref"] for _, _, node in walk(content) if isinstance(node, dict) and "$ref" in node}
    leads = {
        reference: {
            node["$ref"] for _, _, node in walk(find(content, reference)) if isinstance(node, dict) and "$ref" in node
        }
        for reference in references
    }
    for reference in references:
        seen, queue = set(), list(leads[reference])
        while queue:
            if (each := queue.pop()) not in seen:
                seen.add(each)
                queue += leads[each]
        if reference in seen:
            yield reference
