"""Put a task's raw data under results: fetched, copied, or generated where the source is synthetic."""

import argparse

from pipestill.job.script import options_of_kind, run, writes
from pipestill.tasks import content_of


def main() -> None:
    """Parse the command line and provide the raw data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="name of the task")
    parser.add_argument("--data", required=True, help="JSON object: where the data come from")
    parser.add_argument("--output", type=writes, required=True, help="directory for the raw files and their manifest")
    args = parser.parse_args()
    task = content_of(args.task)
    options = options_of_kind(parser, "--data", task.layout.Options, args.data)
    task.layout.provide(task, options, args.output)


if __name__ == "__main__":
    run(main)
