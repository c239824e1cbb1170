"""Draw what the methods of a study reach with shares of its training rows, and write the numbers as a table."""

import argparse

from pipestill.io.files import write_text
from pipestill.job.script import reads, run, writes
from pipestill.plan.shares import at_share
from pipestill.reporting.figures.learning_curve import learning_curve
from pipestill.reporting.learning_curve import read_learning_curve, write_learning_curve


def main() -> None:
    """Parse the command line and write the figure and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--shares", type=float, nargs="+", required=True, help="of the training rows, ascending to 1")
    parser.add_argument("--evals", type=reads, nargs="+", required=True, help="eval.json of each method at each share")
    parser.add_argument("--scores", type=reads, nargs="*", default=[], help="scores.jsonl, beside each of them")
    parser.add_argument("--predictions", type=reads, nargs="*", default=[], help="predictions, beside each of them")
    parser.add_argument("--figure", type=writes, required=True, help="SVG file to write")
    parser.add_argument("--table", type=writes, required=True, help="CSV file to write")
    args = parser.parse_args()
    names = {share: at_share(args.study, share) for share in args.shares}
    curve = read_learning_curve(args.study, names, args.evals)
    write_learning_curve(args.table, curve)
    write_text(args.figure, learning_curve(curve))


if __name__ == "__main__":
    run(main)
