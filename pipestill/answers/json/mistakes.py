"""Mistakes in JSON, for answers that are rejected: a field wrong, missing, invented, or of the wrong type."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any

from pipestill.answers.json.writing import Said
from pipestill.errors import UserError
from pipestill.metrics.json_values import equal

Path = tuple[str | int, ...]  # steps from the whole value to a part
Mistake = Callable[[Said, Any, Random], Any]
TRIES = 4  # draws of each kind of mistake


def mistaken(schema: dict[str, Any], gold: Any, rng: Random) -> Any:
    """``gold`` with a mistake of a random kind that its values allow.

    Raises:
        UserError: there is none to make.
    """
    said = Said.by(schema)
    kinds = [wrong, missing, invented, mistyped]
    rng.shuffle(kinds)
    for kind in kinds:
        for _ in range(TRIES):
            changed = kind(said, gold, rng)
            if changed is not None and not equal(changed, gold):
                return changed
    raise UserError(f"no mistake can be made in {json.dumps(gold)[:80]}: leave `dpo` out")


def wrong(said: Said, gold: Any, rng: Random) -> Any:
    """Another value of the same type in place of one: another listed one, another field's, or one with a slip."""
    leaves = [*_leaves(gold)]
    if not leaves:
        return None
    path, value = rng.choice(leaves)
    if listed := [each for each in _at(said, path).values if type(each) is type(value) and each != value]:
        return _with(gold, path, rng.choice(listed))
    others = [each for other, each in leaves if other != path and type(each) is type(value) and each != value]
    if others and rng.random() < 0.5:
        return _with(gold, path, rng.choice(others))
    return _with(gold, path, _slip(value, rng))


def missing(said: Said, gold: Any, rng: Random) -> Any:
    """Null in place of a value where the schema lets it be, an item less, or a key less."""
    nullable = [path for path, _ in _leaves(gold) if "null" in _at(said, path).types]
    items = [(*path, place) for path, each in _parts(gold) if isinstance(each, list) for place in range(len(each))]
    keys = [(*path, key) for path, each in _parts(gold) if isinstance(each, dict) for key in each]
    for paths in rng.sample([nullable, items], 2):
        if paths:
            path = rng.choice(paths)
            return _with(gold, path, None) if paths is nullable else _without(gold, path)
    return _without(gold, rng.choice(keys)) if keys else None


def invented(said: Said, gold: Any, rng: Random) -> Any:
    """A value of another field in place of null, or an item that is not there."""
    nulls = [path for path, value in _parts(gold) if value is None]
    texts = [value for _, value in _leaves(gold) if isinstance(value, str)]
    lists = [(path, each) for path, each in _parts(gold) if isinstance(each, list) and each]
    if nulls and texts and (not lists or rng.random() < 0.7):
        return _with(gold, rng.choice(nulls), rng.choice(texts))
    if not lists:
        return None
    path, items = rng.choice(lists)
    more = deepcopy(rng.choice(items))
    return _with(gold, path, [*items, wrong(_at(said, (*path, 0)), more, rng) or more])


def mistyped(said: Said, gold: Any, rng: Random) -> Any:
    """A number or a truth value as text, or a text in a list."""
    leaves = [*_leaves(gold)]
    if not leaves:
        return None
    path, value = rng.choice([leaf for leaf in leaves if not isinstance(leaf[1], str)] or leaves)
    return _with(gold, path, [value] if isinstance(value, str) else json.dumps(value))


def _slip(value: Any, rng: Random) -> Any:
    """A value with one character changed, of the same type."""
    if isinstance(value, bool):
        return not value
    text = value if isinstance(value, str) else json.dumps(value)
    places = [place for place, each in enumerate(text) if each.isalnum()]
    if not places:
        return f"{text}?" if isinstance(value, str) else value + 1
    place = rng.choice(places)
    digits = text[place].isdigit()
    new = rng.choice([each for each in ("123456789" if digits else "aeinorst") if each != text[place]])
    slipped = f"{text[:place]}{new}{text[place + 1 :]}"
    return slipped if isinstance(value, str) else json.loads(slipped)


def _parts(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every part of a value with the path to it, the whole first."""
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, each in inner:
        yield from _parts(each, (*path, step))


def _leaves(value: Any) -> Iterator[tuple[Path, Any]]:
    """Parts that are neither null, nor lists, nor objects."""
    return ((path, each) for path, each in _parts(value) if isinstance(each, str | int | float))


def _at(said: Said, path: Path) -> Said:
    for step in path:
        said = said.of(step)
    return said


def _with(gold: Any, path: Path, value: Any) -> Any:
    """A copy with another part."""
    if not path:
        return value
    changed = deepcopy(gold)
    _above(changed, path)[path[-1]] = value
    return changed


def _without(gold: Any, path: Path) -> Any:
    """A copy without a member or an item."""
    changed = deepcopy(gold)
    del _above(changed, path)[path[-1]]
    return changed


def _above(value: Any, path: Path) -> Any:
    for step in path[:-1]:
        value = value[step]
    return value
