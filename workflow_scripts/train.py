"""Train one model with one seed; to resume a killed job, repeat the command."""

import argparse
from pathlib import Path

from pipestill.job.script import json_option, reads, run, writes
from pipestill.settings.jobs import TrainingSettings


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=json_option(TrainingSettings), required=True, help="JSON object")
    parser.add_argument("--data", type=reads, required=True, help="training rows")
    parser.add_argument("--validation", type=reads, required=True, help="validation rows, in the same schema")
    parser.add_argument("--base", type=reads, required=True, help="directory of the base model")
    parser.add_argument("--init", type=reads, help="model directory of the SFT student to start from")
    parser.add_argument("--teacher-base", type=reads, help="base model of a teacher that runs beside the student")
    parser.add_argument("--teacher", type=reads, help="its fine-tuned model")
    parser.add_argument("--distributions", type=reads, help="manifest of a teacher's stored distributions")
    parser.add_argument("--seed", type=int, required=True, help="seed of everything random")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--saves", type=int, help="saves of the training state, over the whole run")
    parser.add_argument("--state", type=Path, required=True, help="directory that keeps the state of a killed job")
    parser.add_argument("--output", type=writes, required=True, help="model directory to make")
    parser.add_argument("--cost", type=writes, required=True, help="JSON file for what the training cost")
    parser.add_argument("--memory", type=writes, required=True, help="JSON Lines file for the memory at each step")
    args = parser.parse_args()
    from pipestill.training.files import Inputs, Outputs
    from pipestill.training.run import train

    inputs = Inputs(
        args.data, args.validation, args.base, args.init, args.teacher_base, args.teacher, args.distributions
    )
    if args.saves is not None:
        args.settings.training.saves = args.saves
    outputs = Outputs(args.state, args.output, args.cost, args.memory)
    train(args.settings, inputs, outputs, args.seed, args.threads)


if __name__ == "__main__":
    run(main, heavy=True)
