"""Measure bytes, weights, speed and memory of the models of a study."""

import argparse

from pipestill.io.files import write_json
from pipestill.job.script import json_option, reads, run, writes
from pipestill.settings.sizes import SizesSettings


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=json_option(SizesSettings), required=True, help="JSON object")
    parser.add_argument("--models", type=reads, nargs="+", required=True, help="model directory of each row")
    parser.add_argument("--bases", type=reads, nargs="+", required=True, help="base model of each row")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--output", type=writes, required=True, help="JSON file to write")
    args = parser.parse_args()
    from pipestill.inference.sizes import measure_sizes

    write_json(args.output, measure_sizes(args.settings, args.models, args.bases, args.threads).model_dump())


if __name__ == "__main__":
    run(main, heavy=True)
