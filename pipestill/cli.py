"""The command line: `pipestill predict ...`, `pipestill doctor`."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from pipestill import __version__
from pipestill.answers.labels.calibration import CALIBRATIONS
from pipestill.job.halves import half
from pipestill.job.script import run
from pipestill.tasks import TASKS, Task


def _takers(names_of: Callable[[Task], Iterable[str]]) -> dict[str, list[str]]:
    """By name, the tasks that take it."""
    names = dict.fromkeys(name for task in TASKS.values() for name in names_of(task))
    return {name: [task.name for task in TASKS.values() if name in names_of(task)] for name in names}


INPUTS = _takers(lambda task: task.inputs)
FIELDS = _takers(lambda task: task.layout.fields)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(prog="pipestill", description="Check configurations, and use what was made of them.")
    top.add_argument("--version", action="version", version=f"pipestill {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser(
        "predict",
        help="predict one input with an experiment's model, a model directory or a hub model",
        epilog='examples: pipestill predict creditmix_sft --features "Age: 23.0, Occupation: Scientist, ..."; '
        'pipestill predict dolly_todi --instruction "Name the animals." --input "The dog saw a cat."',
    )
    predict.add_argument("model", help="experiment (creditmix_sft), model directory, or hub repository (owner/name)")
    for name, takers in INPUTS.items():
        predict.add_argument(f"--{name}", metavar="TEXT", help=f"input of {', '.join(takers)}")
    for name, takers in FIELDS.items():
        predict.add_argument(f"--{name}", metavar="NAME", help=f"{name} of the input, in {', '.join(takers)}")
    predict.add_argument("--seed", type=int, help="run of the experiment (default: the first)")
    predict.add_argument("--json", action="store_true", help="print JSON for machines, with all scores")
    predict.add_argument(
        "--task", choices=TASKS, default=next(iter(TASKS)), help="task of a model that is no experiment"
    )
    predict.add_argument(
        "--calibration",
        choices=CALIBRATIONS,
        help="prior to subtract (default: the experiment's choice; for other models none, multi_null and pmi; none)",
    )
    predict.add_argument("--revision", help="commit of a hub repository (default: the newest)")
    predict.add_argument("--results", type=Path, default=Path("results"), help="results directory (default: results)")
    predict.add_argument("--threads", type=int, default=1, help="torch threads (default: 1)")
    predict.set_defaults(command=_predict)

    doctor = commands.add_parser(
        "doctor", help="look through a tree of results for damage, and remove what must be made again"
    )
    doctor.add_argument("--results", type=Path, default=Path("results"), help="results directory (default: results)")
    doctor.add_argument("--fix", action="store_true", help="remove what is damaged; ends with the command to make it")
    doctor.add_argument("--yes", action="store_true", help="remove it without asking")
    doctor.set_defaults(command=_doctor)

    check = commands.add_parser(
        "check",
        help="check a configuration; names the file and the line where it is not YAML",
        epilog="example: pipestill check config.yaml my.yaml",
    )
    check.add_argument("files", type=Path, nargs="+", help="configuration files, as they are given to --configfile")
    check.set_defaults(command=_check)
    return top


def _predict(args: argparse.Namespace) -> None:
    from pipestill.inference.by_hand import Predictor
    from pipestill.inference.target import find_target

    def given(names: Iterable[str]) -> dict[str, str]:
        return {name: text for name in names if (text := getattr(args, name)) is not None}

    target = find_target(args.model, args.results, args.task, args.seed, args.revision)
    predictor = Predictor(target, given(["calibration"]), args.threads)
    reply = predictor.reply(given(INPUTS), given(FIELDS))
    if args.json:
        print(json.dumps(reply, ensure_ascii=False))
        return
    print("\n".join(half(target.task.answers, "predict").lines(reply)))
    if reply["cropped"]:
        print("note: the input was too long, and its end was not read", file=sys.stderr)


def _doctor(args: argparse.Namespace) -> None:
    from pipestill.doctor.mend import doctor

    if not doctor(args.results, args.fix, args.yes):
        sys.exit(1)


def _check(args: argparse.Namespace) -> None:
    from pipestill.plan.check import check
    from pipestill.plan.files import read_files

    default = Path("config.yaml")
    check(read_files([*([default] if default.exists() else []), *args.files]))
    print(f"{', '.join(map(str, args.files))}: no fault was found")


def main() -> None:
    """Run a command."""
    args = parser().parse_args()
    run(lambda: args.command(args), heavy=True)


if __name__ == "__main__":
    main()
