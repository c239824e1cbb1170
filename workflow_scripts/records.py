"""Turn raw rows into records: bad and repeated rows set aside, the rest divided into splits."""

import argparse
from pathlib import Path

from pipestill.data.make_records import make_records
from pipestill.job.script import run
from pipestill.plan.data import SplitsConfig


def main() -> None:
    """Parse the command line and write the records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="name of the task")
    parser.add_argument("--splits", type=SplitsConfig.model_validate_json, required=True, help="JSON object")
    parser.add_argument("--max-bad-share", type=float, required=True, help="share of unusable rows that is let pass")
    parser.add_argument("--raw", type=Path, required=True, help="directory of the raw data")
    parser.add_argument("--records", type=Path, required=True, help="JSON Lines file to write")
    parser.add_argument("--manifest", type=Path, required=True, help="JSON file to write: counts and bad rows")
    args = parser.parse_args()
    make_records(args.task, args.splits, args.max_bad_share, args.raw, args.records, args.manifest)


if __name__ == "__main__":
    run(main)
