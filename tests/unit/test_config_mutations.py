"""Every key of the configuration with values that it should not have: taken only where it can be used, refused in one
sentence."""

import json
import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
import yaml

from pipestill.errors import UserError
from pipestill.plan import reference
from pipestill.plan.check import check
from pipestill.plan.config import Config
from pipestill.plan.plan import Plan

ROOT = Path(__file__).parents[2]
LONGEST = 300  # characters of a refusal
ODD = {
    "true": True,
    "text": "plenty",
    "inf": math.inf,
    "nan": math.nan,
    "negative": -1,
    "tiny": 1e-300,
    "huge": 10**30,
    "empty": "",
    "null": None,
    "list": [],
    "mapping": {},
    "names": {"no": {"such": "key"}},
    "long": "x" * 100_000,
    "lines": "a\nb\u2028\0",
}


@pytest.fixture(scope="module")
def default() -> dict[str, Any]:
    """The default with every key written out, and some more sections filled."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["studies"]["multiclinsum"] |= {
        "answers": {"bertscore": {"encoder": "demo-bert-teacher", "layer": 4}},
        "checkpoints": {"other": {"model": "demo-teacher"}},
        "submission": {"documents": {"en": {"url": "https://example.org/en.zip"}}},
    }
    annotation = config["tasks"]["multiclinsum"]["annotation"]
    annotation |= {"price": {"input": 1, "output": 1}, "max_cost": 1, "top_p": 0.9, "seed": 1, "tokens_per_minute": 9}
    annotation["steps"][0] |= {"max_chars": 900, "pattern": "[a-z]", "json_schema": {"type": "object"}}
    annotation["extra_body"] = {"reasoning": {"enabled": False}}
    config["models"]["remote"] = {"source": "hub", "repo": "someone/small", "revision": "0" * 40}
    config["tasks"]["creditmix"]["data"] |= {"source": "url", "url": "https://example.org/a.json", "sha256": "0" * 64}
    files = {name: {"path": f"{name}.jsonl", "limit": 99} for name in ("train", "dolly")}
    config["tasks"]["dolly"]["data"] |= {"source": "files", "files": files, "test_sets": ["dolly"]}
    del config["studies"]["dolly"]  # whose sections the others have too
    config["run"].remove("dolly")
    return json.loads(check(config).model_dump_json())


def places(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every key and item of a configuration."""
    below = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in below:
        yield (*place, key)
        yield from places(inner, (*place, key))


def changed(config: dict[str, Any], place: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """The configuration with another value at one place."""
    if not place:
        return value
    copy = list(config) if isinstance(config, list) else dict(config)
    copy[place[0]] = changed(copy[place[0]], place[1:], value)
    return copy


@pytest.mark.parametrize("kind", ODD)
def test_any_value_is_taken_or_refused_in_one_sentence(default, kind):
    for place in places(default):
        config = changed(default, place, ODD[kind])
        try:
            taken = check(deepcopy(config))
        except UserError as refusal:
            said = str(refusal)
            assert len(said) <= LONGEST and said.isprintable(), (place, said)
            assert any(key in said for key in place[-3:] if isinstance(key, str)), (place, said)
        else:
            again = json.loads(taken.model_dump_json())
            assert check(deepcopy(again)) == taken, place
            Plan(taken, ROOT)


def numbers(kind: Any, constraints: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Constraints of each number that a field may hold."""
    if get_origin(kind) is Annotated:
        kind, *more = get_args(kind)
        constraints = (*constraints, *more)
    if kind in (int, float):
        yield constraints
    for inner in get_args(kind):
        yield from numbers(inner, ())


def bound(constraints: tuple[Any, ...], names: tuple[str, str]) -> bool:
    flat = [each for given in constraints for each in (given, *getattr(given, "metadata", ()))]
    return any(getattr(each, name, None) is not None for each in flat for name in names)


def test_every_number_has_bounds():
    seen = 0
    for path, section, *_ in reference._sections("", Config):
        for name, field in section.model_fields.items():
            own = [field.metadata] if field.metadata else []
            for constraints in numbers(field.annotation, tuple(each for given in own for each in given)):
                seen += 1
                for names in (("ge", "gt"), ("le", "lt")):
                    assert bound(constraints, names), f"{path}.{name} has no {' or '.join(names)}"
    assert seen > 80
