"""Take documents whose summaries are held back, and write them as test records with their prompts."""

import argparse
from pathlib import Path

from pydantic import TypeAdapter

from pipestill.data.challenge import challenge_records
from pipestill.data.text_crop import character_ends, token_ends
from pipestill.io.records import write_jsonl
from pipestill.job.script import json_option, run
from pipestill.settings.data import CropConfig, FileConfig
from pipestill.text.sentences import SPLITTERS


def main() -> None:
    """Parse the command line and write the records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="name of the task")
    parser.add_argument(
        "--files", type=TypeAdapter(dict[str, FileConfig]).validate_json, required=True, help="JSON object: archives"
    )
    parser.add_argument("--crop", type=json_option(CropConfig), required=True, help="JSON object")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json whose tokens are counted")
    parser.add_argument("--splitter", choices=SPLITTERS, default="sentencex", help="what finds sentences")
    parser.add_argument("--state", type=Path, required=True, help="directory that keeps fetched archives")
    parser.add_argument("--output", type=Path, required=True, help="JSON Lines file to write")
    args = parser.parse_args()
    ends = token_ends(args.tokenizer) if args.tokenizer else character_ends
    records = challenge_records(args.task, args.files, args.crop, ends, args.state, args.splitter)
    write_jsonl(args.output, records)
    print(f"{len(records)} documents")


if __name__ == "__main__":
    run(main)
