"""Crop the inputs of records, and write the prompts that models get."""

import argparse
from pathlib import Path

from pipestill.data.crop import crop_records
from pipestill.data.crop_documents import crop_documents
from pipestill.data.text_crop import character_ends, token_ends
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.job.script import json_option, run
from pipestill.settings.data import CropConfig
from pipestill.tasks import TASKS
from pipestill.text.sentences import SPLITTERS
from pipestill.text.templates import TEMPLATES


def main() -> None:
    """Parse the command line and write the cropped records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="name of the task")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--max-chars", type=int, help="characters that an input may have")
    how.add_argument("--crop", type=json_option(CropConfig), help="JSON object, for documents")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json whose tokens are counted, for documents")
    parser.add_argument("--splitter", choices=SPLITTERS, default="sentencex", help="what finds sentences")
    parser.add_argument("--template", choices=TEMPLATES, default="plain", help="how instruction and input are joined")
    parser.add_argument("--records", type=Path, required=True, help="JSON Lines file to read")
    parser.add_argument("--output", type=Path, required=True, help="JSON Lines file to write")
    args = parser.parse_args()
    task, records = TASKS[args.task], read_jsonl(args.records)
    if args.crop:
        ends = token_ends(args.tokenizer) if args.tokenizer else character_ends
        records, counts = crop_documents(records, task, args.crop, ends, args.splitter)
        print(f"cropped of {len(records)} records:", ", ".join(f"{n} {field}" for field, n in counts.items()))
    else:
        records, cropped = crop_records(records, task, args.max_chars, args.template)
        print(f"cropped {cropped} of {len(records)} records to {args.max_chars} characters")
    write_jsonl(args.output, records)


if __name__ == "__main__":
    run(main)
