"""Configuration files, read more strictly than Snakemake does: faults are named with file and line."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from pipestill.errors import UserError, quoted, shortened
from pipestill.io.files import read_text
from pipestill.io.parsing import BadJson, parse_json
from pipestill.plan.plain import MOST_VALUES
from pipestill.plan.resolve import merged

LARGEST = 1 << 20  # characters
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
KNOWN = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map", "merge")}
TIME, DAY = "tag:yaml.org,2002:timestamp", re.compile(r"\d{4}-\d\d-\d\d")  # the one is read as the text that it is
Fault = tuple[yaml.Mark, str]  # where, and what


def read_files(paths: Iterable[Path]) -> dict[str, Any]:
    """What Snakemake makes of configuration files: each changes parts of those before it.

    Raises:
        UserError: a file cannot be read; names it and the line.
    """
    config: dict[str, Any] = {}
    for path in paths:
        config = merged(config, read_file(path))
    return config


def check_files(paths: Iterable[str | Path]) -> None:
    """Refuse files of which Snakemake reads something else than stands there: a key twice, a date for a text.

    Raises:
        UserError: see :func:`read_files`.
    """
    for path in paths:
        read_file(Path(path))


def read_file(path: Path) -> dict[str, Any]:
    """One configuration file.

    Raises:
        UserError: see :func:`read_files`.
    """
    text = read_text(path)
    if len(text) > LARGEST:
        raise UserError(f"{path} has {len(text)} characters, and a configuration {LARGEST} at most: name another file")
    try:
        found = parse_json(text)
    except BadJson as error:
        if error.position is None:  # it is JSON, as Snakemake reads it first
            raise UserError(f"{path}: this is no configuration ({shortened(error)}); mend it") from None
        found = _of_yaml(path, text)
    if not isinstance(found, dict):
        raise UserError(f"{path}, line 1: {quoted(found)} stands where keys such as `run:` are expected")
    return found


def _of_yaml(path: Path, text: str) -> Any:
    try:
        node = yaml.compose(text, Loader=LOADER)
        if node is None:
            raise UserError(f"{path} is empty: write keys such as `run:`, or leave the file out")
        for mark, fault in _faults(node, (), {}):
            raise UserError(f"{path}, line {mark.line + 1}: {fault}")
        return yaml.load(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark or error.context_mark).line
        raise UserError(f"{path}, line {line + 1}: {_problem(error, text.splitlines()[line : line + 1])}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{path}, line {line}: a control character stands here; remove it") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # such as a number of thousands of digits
        raise UserError(f"{path}: this is no configuration ({shortened(error)}); mend it") from None


def _problem(error: yaml.MarkedYAMLError, line: list[str]) -> str:
    if any("\t" in text[: len(text) - len(text.lstrip())] for text in line):
        return "YAML has no tabs; indent by spaces"
    return f"this is not YAML ({shortened(error.problem)}); mend it, and quote texts that hold colons or the like"


def _faults(node: yaml.Node, above: tuple[yaml.Node, ...], sizes: dict[yaml.Node, int]) -> Iterator[Fault]:
    """What Snakemake would take in silence, or stumble over; ``sizes`` are of the nodes that were looked at."""
    if node in above:
        yield node.start_mark, "an anchor (&name) is named (*name) inside of itself; write out what is meant"
        return
    if node in sizes:
        return
    if node.tag not in KNOWN and not (node.tag == TIME and DAY.fullmatch(node.value)):
        what = f"`{shortened(node.value)}`" if isinstance(node, yaml.ScalarNode) else "this"
        kind = node.tag.rpartition(":")[2]
        yield node.start_mark, f"{what} is read as `{shortened(kind)}`; quote it, or write it in another way"
    if isinstance(node, yaml.MappingNode):
        yield from _key_faults(node)
    below = _below(node)
    for each in below:
        yield from _faults(each, (*above, node), sizes)
    sizes[node] = 1 + sum(sizes.get(each, 0) for each in below)
    if sizes[node] > MOST_VALUES:
        yield node.start_mark, f"this has more than {MOST_VALUES} values, its anchors written out; write fewer"


def _key_faults(node: yaml.MappingNode) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for key, _ in node.value:
        if key.tag == MERGE:
            continue
        if key.tag != TEXT:
            yield key.start_mark, "this key is not read as text; quote it"
        elif key.value in first:
            yield key.start_mark, f"the key `{shortened(key.value)}` stands in line {first[key.value]} already"
        else:
            first[key.value] = key.start_mark.line + 1


def _below(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return node.value if isinstance(node, yaml.SequenceNode) else []
