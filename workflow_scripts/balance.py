"""Write a study's training file and its validation rows: balanced over classes if any, in the schema of the method."""

import argparse
from pathlib import Path

from pipestill.data.training_files import FORMATS, make_training_files
from pipestill.script import run


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="name of the task")
    parser.add_argument("--format", choices=FORMATS, required=True, help="schema and split of the training file")
    parser.add_argument("--records", type=Path, required=True, help="cropped records")
    parser.add_argument("--outputs", type=Path, help="the teacher's outputs, where the format uses them")
    parser.add_argument("--rows", type=int, help="training rows at most, of each class where there are classes")
    parser.add_argument("--seed", type=int, required=True, help="seed of the draw")
    parser.add_argument("--train", type=Path, required=True, help="JSON Lines file to write")
    parser.add_argument("--validation", type=Path, required=True, help="JSON Lines file to write")
    args = parser.parse_args()
    make_training_files(
        args.task, args.format, args.records, args.outputs, args.rows, args.seed, args.train, args.validation
    )


if __name__ == "__main__":
    run(main)
