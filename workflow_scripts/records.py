"""Turn raw rows into records: bad and repeated rows set aside, the rest divided into splits."""

import argparse

from pipestill.job.script import json_option, options_of_kind, reads, run, writes
from pipestill.layouts.base import write_records
from pipestill.settings.tasks import Declared
from pipestill.tasks import find_task


def main() -> None:
    """Parse the command line and write the records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="name of the task")
    parser.add_argument("--declared", type=json_option(Declared), help="JSON object: a task that is declared")
    parser.add_argument("--data", required=True, help="JSON object: how rows are checked and divided")
    parser.add_argument("--raw", type=reads, required=True, help="directory of the raw data")
    parser.add_argument("--records", type=writes, required=True, help="JSON Lines file to write")
    parser.add_argument("--manifest", type=writes, required=True, help="JSON file to write: counts and bad rows")
    args = parser.parse_args()
    task = find_task(args.task, args.declared)
    options = options_of_kind(parser, "--data", task.layout.Options, args.data)
    write_records(task, task.layout, options, args.raw, args.records, args.manifest)


if __name__ == "__main__":
    run(main)
