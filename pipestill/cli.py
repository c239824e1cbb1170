"""The command line: `pipestill predict ...`."""

import argparse
import json
import sys
from pathlib import Path

from pipestill import __version__
from pipestill.inference.calibration import CALIBRATIONS
from pipestill.job.script import run
from pipestill.tasks import TASKS


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(prog="pipestill", description="Use what the pipeline made.")
    top.add_argument("--version", action="version", version=f"pipestill {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser(
        "predict",
        help="predict one input with an experiment's model, a model directory or a hub model",
        epilog='examples: pipestill predict creditmix_sft --features "Age: 23.0, Occupation: Scientist, ..."; '
        'pipestill predict dolly_todi --instruction "Name the animals." --input "The dog saw a cat."',
    )
    predict.add_argument("model", help="experiment (creditmix_sft), model directory, or hub repository (owner/name)")
    predict.add_argument("--features", "--input", default="", metavar="TEXT", dest="text", help="the input text")
    predict.add_argument(
        "--instruction", default="", metavar="TEXT", help="what is asked about it, in tasks without one of their own"
    )
    predict.add_argument("--language", help="language of the input, in tasks of documents (default: en)")
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
    return top


def _predict(args: argparse.Namespace) -> None:
    from pipestill.inference.target import find_target

    target = find_target(args.model, args.results, args.seed, args.task, args.calibration, args.revision)
    from pipestill.inference.by_hand import predict_text  # torch takes seconds: only where there is something to ask

    answer = predict_text(target, args.text, args.instruction, args.threads, args.language)
    if args.json:
        print(json.dumps(answer, ensure_ascii=False))
        return
    if "probabilities" in answer:
        run = "" if answer["seed"] is None else f"seed {answer['seed']}, "
        print(f"{answer['prediction']}  ({run}margin {answer['top2_margin']:.2f}, calibration {answer['calibration']})")
        for label, probability in sorted(answer["probabilities"].items(), key=lambda item: -item[1]):
            print(f"  {label:<12} {probability:.3f}")
    else:
        print(answer["prediction"])
    if answer["cropped"]:
        print("note: the input was too long, and its end was not read", file=sys.stderr)


def main() -> None:
    """Run a command."""
    args = parser().parse_args()
    run(lambda: args.command(args), heavy=True)


if __name__ == "__main__":
    main()
