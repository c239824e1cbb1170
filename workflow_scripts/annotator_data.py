"""Write what a local annotator is trained on: documents of the teacher split and their rationales."""

import argparse
import json

from pipestill.annotation.annotator_data import write_annotator_data
from pipestill.job.script import reads, run, writes


def main() -> None:
    """Parse the command line and write the training and validation rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=json.loads, required=True, help="JSON object: prompts by what they ask for")
    parser.add_argument("--records", type=reads, required=True, help="cropped records")
    parser.add_argument("--train", type=writes, required=True, help="JSON Lines file to write")
    parser.add_argument("--validation", type=writes, required=True, help="JSON Lines file to write")
    args = parser.parse_args()
    write_annotator_data(args.questions, args.records, args.train, args.validation)


if __name__ == "__main__":
    run(main)
