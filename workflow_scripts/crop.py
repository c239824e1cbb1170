"""Crop the inputs of records to a number of characters, and write the prompts that models get."""

import argparse
from pathlib import Path

from pipestill.data.crop import crop_records
from pipestill.records import read_jsonl, write_jsonl
from pipestill.script import run
from pipestill.tasks import TASKS
from pipestill.tasks.templates import TEMPLATES


def main() -> None:
    """Parse the command line and write the cropped records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="name of the task")
    parser.add_argument("--max-chars", type=int, required=True, help="characters that an input may have")
    parser.add_argument("--template", choices=TEMPLATES, default="plain", help="how instruction and input are joined")
    parser.add_argument("--records", type=Path, required=True, help="JSON Lines file to read")
    parser.add_argument("--output", type=Path, required=True, help="JSON Lines file to write")
    args = parser.parse_args()
    records, cropped = crop_records(read_jsonl(args.records), TASKS[args.task], args.max_chars, args.template)
    write_jsonl(args.output, records)
    print(f"cropped {cropped} of {len(records)} records to {args.max_chars} characters")


if __name__ == "__main__":
    run(main)
