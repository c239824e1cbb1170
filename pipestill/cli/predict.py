"""`pipestill predict`: a model, and the options that its task takes."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipestill.cli.completion import experiments
from pipestill.cli.options import add_options, options_of
from pipestill.errors import UserError
from pipestill.io.files import read_text
from pipestill.io.records import Json, iterate_jsonl
from pipestill.job.halves import half
from pipestill.tasks import TASKS, Task

if TYPE_CHECKING:
    from pipestill.inference.target import Target

STANDARD_INPUT = Path("-")
EXAMPLES = (
    'examples: pipestill predict creditmix_sft --features "Age: 23.0, Occupation: Scientist, ..."; '
    'pipestill predict dolly_todi --instruction "Name the animals." --input "The dog saw a cat."; '
    'pipestill predict mnli_cd --premise "The man sleeps." --file hypothesis.txt; '
    "pipestill predict dolly_todi --example 3"
)


def add_command(commands: Any) -> None:
    """Add the command to the parsers of all."""
    parser = commands.add_parser(
        "predict",
        help="predict with an experiment's model, a model directory or a hub model",
        epilog=EXAMPLES,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-h", "--help", action="store_true", help="show what a model takes: predict MODEL --help")
    parser.add_argument(
        "model", nargs="?", help="experiment (creditmix_sft), model directory, or hub repository (owner/name)"
    ).completer = experiments
    parser.add_argument(
        "--file",
        type=Path,
        help="file with the text of the first input that is not given, - for standard input; or .jsonl, with an object "
        "of inputs in each line",
    )
    parser.add_argument(
        "--example",
        type=int,
        nargs="?",
        const=1,
        metavar="N",
        help="answer the N-th test example of the experiment (default: the first), and show its reference",
    )
    parser.add_argument("--seed", type=int, help="run of the experiment (default: the first)")
    parser.add_argument("--json", action="store_true", help="print JSON for machines, with all scores")
    parser.add_argument(
        "--task", choices=TASKS, default=next(iter(TASKS)), help="task of a model that is no experiment"
    )
    parser.add_argument("--revision", help="commit of a hub repository (default: the newest)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="results directory (default: results)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default: 1)")
    parser.set_defaults(command=command, parser=parser)


def command(args: argparse.Namespace) -> None:
    """Answer what the command line asks.

    Raises:
        UserError: there is no such model, or its task takes no such options.
    """
    from pipestill.inference.by_hand import Predictor
    from pipestill.inference.examples import find_example
    from pipestill.inference.target import find_target

    if args.model is None:
        if not args.help:
            args.parser.error("name a model, before the options of its task")
        print(args.parser.format_help())
        print("Inputs by task:\n" + "\n".join(f"  {task.name:<16}{_inputs(task)}" for task in TASKS.values()))
        return
    target = find_target(args.model, args.results, args.task, args.seed, args.revision)
    parser = _parser_of(target)
    if args.help:
        print(args.parser.format_help())
        print(parser.format_help())
        return
    given, unknown = parser.parse_known_args(args.others)
    _refuse(unknown, target.task)
    task, options = target.task, options_of(given, target.task.answers.Options)
    predictor = Predictor(target, options, args.threads)
    inputs, fields = (
        {name: text for name in names if (text := getattr(given, name)) is not None} for names in _names(task)
    )
    if args.example is not None:
        if inputs or fields or args.file:
            raise UserError("an example has its own inputs: leave other inputs and `--file` out")
        example = find_example(target, args.example)
        reply = predictor.reply(example.record.inputs, task.layout.fields_of(example.record))
        if args.json:
            _show(task, {"example": example.row(), **reply}, True)
            return
        print("\n".join(example.lines()))
        _show(task, reply, False, "answer: ")
        return
    for row in _rows(args.file, task, inputs):
        asked = {name: text for name, text in row.items() if name not in task.layout.fields}
        reply = predictor.reply(asked, {**fields, **{name: row[name] for name in row if name not in asked}})
        _show(task, reply, args.json or _is_table(args.file))


def _names(task: Task) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return task.inputs, task.layout.fields


def _inputs(task: Task) -> str:
    return ", ".join(f"--{name}" for names in _names(task) for name in names)


def _parser_of(target: "Target") -> argparse.ArgumentParser:
    """What the task of a model takes."""
    task = target.task
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, add_help=False, allow_abbrev=False)
    group = parser.add_argument_group(f"inputs of {task.name}")
    for name in task.inputs:
        group.add_argument(f"--{name}", metavar="TEXT")
    for name in task.layout.fields:
        group.add_argument(f"--{name}", metavar="NAME")
    add_options(parser.add_argument_group("answers"), task.answers.Options)
    return parser


def _refuse(unknown: list[str], task: Task) -> None:
    for word in unknown:
        if word.startswith("--"):
            name = word.removeprefix("--").partition("=")[0]
            raise UserError(
                f"task `{task.name}` takes {', '.join(task.inputs + task.layout.fields)}: leave `{name}` out"
            )
    if unknown:
        raise UserError(f"`{unknown[0]}` belongs to no option: put quotation marks around texts with spaces")


def _is_table(file: Path | None) -> bool:
    return file is not None and file.suffix == ".jsonl"


def _rows(file: Path | None, task: Task, inputs: Mapping[str, str]) -> Iterator[Json]:
    """Inputs and fields to answer, one by one.

    Raises:
        UserError: the file is missing or broken, or all inputs are given beside it.
    """
    if file is None:
        yield dict(inputs)
    elif _is_table(file):
        for number, row in enumerate(iterate_jsonl(file), 1):
            if wrong := [name for name, text in row.items() if not isinstance(text, str)]:
                raise UserError(f"{file}, line {number}: `{wrong[0]}` is not text")
            yield {**inputs, **row}
    else:
        missing = [name for name in task.inputs if name not in inputs]
        if not missing:
            raise UserError("every input is given: leave `--file` out")
        yield {**inputs, missing[0]: sys.stdin.read() if file == STANDARD_INPUT else read_text(file)}


def _show(task: Task, reply: Json, as_json: bool, before: str = "") -> None:
    if as_json:
        print(json.dumps(reply, ensure_ascii=False), flush=True)
        return
    print(before + "\n".join(half(task.answers, "predict").lines(reply)), flush=True)
    if reply["cropped"]:
        print("note: the input was too long, and its end was not read", file=sys.stderr)
    if reply.get("repeats"):  # no label does
        print("note: the answer repeats itself and was cut", file=sys.stderr)
