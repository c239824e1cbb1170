"""Let a student in its training answer the prompts that it learns from; a killed job is resumed."""

import argparse
from pathlib import Path

from pipestill.job.script import json_option, reads, run, writes
from pipestill.settings.jobs import OwnAnswersSettings


def main() -> None:
    """Parse the command line and write the answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=json_option(OwnAnswersSettings), required=True, help="JSON object")
    parser.add_argument("--data", type=reads, required=True, help="training rows")
    parser.add_argument("--base", type=reads, required=True, help="directory of the student's base model")
    parser.add_argument("--init", type=reads, help="model directory of the student that its training starts from")
    parser.add_argument("--before", type=reads, help="what the last job of its training left; none: it is not trained")
    parser.add_argument("--seed", type=int, required=True, help="seed of its training")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--state", type=Path, required=True, help="directory that keeps finished answers")
    parser.add_argument("--output", type=writes, required=True, help="JSON Lines file to write")
    parser.add_argument("--cost", type=writes, required=True, help="JSON file to write")
    args = parser.parse_args()
    from pipestill.training.own_answers import Places, Student, write_own_answers

    student = Student(args.base, args.init, args.before, args.seed)
    write_own_answers(args.settings, student, Places(args.data, args.state, args.output, args.cost), args.threads)


if __name__ == "__main__":
    run(main, heavy=True)
