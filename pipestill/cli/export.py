"""`pipestill export`: a run of an experiment as a plain directory of transformers, and to a hub."""

import argparse
from pathlib import Path
from typing import Any

from pipestill.cli.completion import experiments

EXAMPLES = (
    "examples: pipestill export creditmix_sft --to my-model; "
    "pipestill export dolly_todi --seed 2 --merge --to my-model --push owner/name"
)


def add_command(commands: Any) -> None:
    """Add the command to the parsers of all."""
    parser = commands.add_parser(
        "export", help="write a trained model as a plain directory of transformers", epilog=EXAMPLES
    )
    parser.add_argument("experiment", help="such as creditmix_sft").completer = experiments
    parser.add_argument("--to", type=Path, required=True, help="directory to make; it may exist if it is empty")
    parser.add_argument("--seed", type=int, help="run of the experiment (default: the first)")
    parser.add_argument(
        "--merge", action="store_true", help="add an adapter to its base model's weights, which many tools want"
    )
    parser.add_argument(
        "--push",
        metavar="OWNER/NAME",
        help="upload it to this repository of the Hugging Face hub too, with the token in HF_TOKEN",
    )
    parser.add_argument("--public", action="store_true", help="make a new repository public (default: private)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="results directory (default: results)")
    parser.set_defaults(command=command)


def command(args: argparse.Namespace) -> None:
    """Export what the command line asks for.

    Raises:
        UserError: there is no such model, the directory is in use, or the hub refuses it.
    """
    from pipestill.export.directory import Origin, check_place, export_model
    from pipestill.export.push import check_push, push
    from pipestill.inference.target import find_experiment

    check_place(args.to)
    origin = Origin.of(find_experiment(args.experiment, args.results, args.seed))
    if args.push:
        check_push(args.push, origin, args.merge)
    export_model(origin, args.to, args.push or args.to.resolve().name, merge=args.merge)
    print(f"{args.to}: {origin.target.name}, seed {origin.target.seed}; README.md says how to use it")
    if args.push:
        print(push(args.to, args.push, private=not args.public))
