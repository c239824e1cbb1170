"""The one spelling of gold answers: properties in the schema's order, separators and numbers as models write them."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from pipestill.schemas.keywords import COMBINED, find
from pipestill.schemas.schema import SEPARATORS
from pipestill.schemas.validation import canonical


@dataclass(frozen=True)
class Said:
    """What a schema says of one value.

    Attributes:
        root: the whole schema, which references are followed in.
        nodes: the parts that speak of the value, those that they refer to and the cases of combinations among them.
    """

    root: dict[str, Any]
    nodes: tuple[dict[str, Any], ...]

    @classmethod
    def by(cls, root: dict[str, Any], nodes: Iterable[Any] | None = None) -> Self:
        """What ``nodes`` of a schema say; the whole schema where none are given."""
        return cls(root, tuple(_spread(root, [root] if nodes is None else nodes)))

    @property
    def names(self) -> list[str]:
        """Properties in their order."""
        return list(dict.fromkeys(name for node in self.nodes for name in node.get("properties", ())))

    @property
    def values(self) -> list[Any]:
        """Values that it lists, if it lists some."""
        alone = [[node["const"]] if "const" in node else [] for node in self.nodes]
        return [value for node, one in zip(self.nodes, alone, strict=True) for value in (*node.get("enum", ()), *one)]

    @property
    def types(self) -> set[str]:
        """Types that it names."""
        named = [node.get("type", []) for node in self.nodes]
        return {kind for kinds in named for kind in ([kinds] if isinstance(kinds, str) else kinds)}

    def of(self, step: str | int) -> Self:
        """What it says of a member or an item."""
        if isinstance(step, str):
            named = [node["properties"][step] for node in self.nodes if step in node.get("properties", ())]
            return self.by(self.root, named or [node.get("additionalProperties") for node in self.nodes])
        return self.by(
            self.root,
            [
                node["prefixItems"][step] if step < len(node.get("prefixItems", ())) else node.get("items")
                for node in self.nodes
            ],
        )


def written(schema: dict[str, Any], value: Any) -> str:
    """``value`` as JSON.

    Keys of an object come in the order in which the schema names them, then those that it does not name, in their own.
    Numbers are as short as they can be: ``1.50`` is ``1.5``, ``1.0`` is ``1``.
    """
    return _written(Said.by(schema), value)


def _written(said: Said, value: Any) -> str:
    between, after_key = SEPARATORS
    if isinstance(value, dict):
        keys = [*(name for name in said.names if name in value), *(key for key in value if key not in said.names)]
        members = (
            f"{json.dumps(key, ensure_ascii=False)}{after_key}{_written(said.of(key), value[key])}" for key in keys
        )
        return f"{{{between.join(members)}}}"
    if isinstance(value, list):
        return f"[{between.join(_written(said.of(place), each) for place, each in enumerate(value))}]"
    return canonical(value)


def _spread(root: dict[str, Any], nodes: Iterable[Any]) -> Iterator[dict[str, Any]]:
    queue, followed = list(nodes), set()
    while queue:
        node = queue.pop(0)
        if not isinstance(node, dict):
            continue
        yield node
        cases = [case for key in COMBINED for case in node.get(key, ())]
        reference = node.get("$ref")
        if reference is not None and reference not in followed:
            followed.add(reference)
            cases.insert(0, find(root, reference))
        queue = cases + queue
