"""`pipestill list` and `pipestill show`: what a tree of results holds, without loading a model."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from pipestill.cli.completion import experiments
from pipestill.errors import shortened
from pipestill.reporting.inventory import Entry, Shown, inventory, shown

WIDTH = 100  # columns of a terminal that tables fit


def add_commands(commands: Any) -> None:
    """Add both commands to the parsers of all."""
    listing = commands.add_parser(
        "list",
        help="list experiments: what is done, the primary metric, and what training took",
        epilog="example: pipestill list --results runs/gpu/results",
    )
    _add_options(listing, _list)
    show = commands.add_parser(
        "show",
        help="show an experiment's numbers, where they come from, and what they cost",
        epilog="example: pipestill show dolly_todi",
    )
    show.add_argument("experiment", help="such as creditmix_sft").completer = experiments
    _add_options(show, _show)


def _add_options(parser: argparse.ArgumentParser, command: Any) -> None:
    parser.add_argument("--results", type=Path, default=Path("results"), help="results directory (default: results)")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.set_defaults(command=command)


def _list(args: argparse.Namespace) -> None:
    entries = inventory(args.results)
    print(json.dumps([each.row() for each in entries], ensure_ascii=False) if args.json else listed(entries))


def _show(args: argparse.Namespace) -> None:
    found = shown(args.experiment, args.results)
    print(json.dumps(found.row(), ensure_ascii=False) if args.json else told(found))


def listed(entries: Sequence[Entry]) -> str:
    """A table of experiments."""
    head = ("experiment", "done", "metric", "mean [95 % interval]", "training, each seed")
    return _table(head, [(each.name, each.state, *each.measured) for each in entries])


def told(found: Shown) -> str:
    """An experiment for people, in tables."""
    parts = [
        found.summary,
        _table(("metric", "mean", "95 % interval", "sd", "by seed"), found.metrics),
        _table(("cost", "wall time", "processor time", "peak memory"), found.costs),
        _table(("file", "what comes from it"), found.files.items()),
        *(f"note: {note}" for note in found.notes),
    ]
    return "\n\n".join(parts)


def _table(head: Sequence[str], rows: Any) -> str:
    """A table that fits :data:`WIDTH`: its last column is wrapped, then its first one shortened."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    room = WIDTH - 2 * (len(head) - 1)
    last = max(len(head[-1]), min(widths[-1], room - sum(widths[:-1])), 20)
    first = max(20, min(widths[0], room - sum(widths[1:-1]) - last))
    cells = [[shortened(row[0], first), *row[1:]] for row in cells]
    return tabulate(
        cells, head, tablefmt="simple", disable_numparse=True, maxcolwidths=[*[None] * (len(head) - 1), last]
    )
