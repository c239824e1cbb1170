"""Put a task's raw data under results: fetched, copied, or generated where the source is synthetic."""

import argparse
from pathlib import Path

from pipestill.data.source import provide_raw
from pipestill.job.script import run
from pipestill.plan.data import SourceConfig


def main() -> None:
    """Parse the command line and provide the raw data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="name of the task")
    parser.add_argument("--source", type=SourceConfig.model_validate_json, required=True, help="JSON object")
    parser.add_argument("--output", type=Path, required=True, help="directory for the raw file and its manifest")
    args = parser.parse_args()
    provide_raw(args.task, args.source, args.output)


if __name__ == "__main__":
    run(main)
