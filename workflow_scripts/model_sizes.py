"""Measure bytes, weights, speed and memory of the models of a study."""

import argparse

from pipestill.io.files import write_json
from pipestill.job.script import reads, run, writes


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--rows", nargs="+", required=True, help="names of rows of its tables")
    parser.add_argument("--bases", type=reads, nargs="+", required=True, help="base model of each row")
    parser.add_argument("--models", type=reads, nargs="+", required=True, help="model directory of each row")
    parser.add_argument("--output", type=writes, required=True, help="JSON file to write")
    args = parser.parse_args()
    from pipestill.inference.sizes import measure_sizes

    models = dict(zip(args.rows, zip(args.bases, args.models, strict=True), strict=True))
    write_json(args.output, measure_sizes(args.study, models).model_dump())


if __name__ == "__main__":
    run(main, heavy=True)
