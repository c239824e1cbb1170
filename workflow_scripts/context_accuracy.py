"""Measure how often a teacher with its context finds the gold answers of training rows likeliest."""

import argparse

from pipestill.io.files import write_json
from pipestill.job.script import reads, run, writes


def main() -> None:
    """Parse the command line and write the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=reads, required=True, help="manifest.json of the distributions")
    parser.add_argument("--data", type=reads, required=True, help="training file of the students")
    parser.add_argument("--student", type=reads, required=True, help="directory of the student's base model")
    parser.add_argument("--output", type=writes, required=True, help="JSON file to write")
    args = parser.parse_args()
    from pipestill.teacher.context_accuracy import context_accuracy

    found = context_accuracy(args.manifest, args.data, args.student)
    write_json(args.output, found)
    print(f"the teacher with its context answers {found['first']:.1%} of {found['rows']} training rows rightly")


if __name__ == "__main__":
    run(main, heavy=True)
