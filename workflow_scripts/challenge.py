"""Take documents whose summaries are held back, and write them as test records with their prompts."""

import argparse
from pathlib import Path

from pydantic import TypeAdapter

from pipestill.io.records import write_jsonl
from pipestill.job.script import json_option, options_of_kind, reads, run, writes
from pipestill.layouts.base import Cropping
from pipestill.layouts.documents import DocumentFile
from pipestill.settings.prompts import Prompt
from pipestill.tasks import TASKS
from pipestill.tasks.multiclinsum.challenge import challenge_records
from pipestill.text.crop import unit_ends
from pipestill.text.sentences import SPLITTERS


def main() -> None:
    """Parse the command line and write the records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, choices=TASKS, help="name of the task")
    parser.add_argument(
        "--files", type=TypeAdapter(dict[str, DocumentFile]).validate_json, required=True, help="JSON object: archives"
    )
    parser.add_argument("--data", required=True, help="JSON object: how long documents may be")
    parser.add_argument("--tokenizer", type=reads, help="tokenizer.json whose tokens are counted, where tokens are")
    parser.add_argument("--splitter", choices=SPLITTERS, default="sentencex", help="what finds sentences")
    parser.add_argument("--prompt", type=json_option(Prompt), required=True, help="JSON object: the prompt")
    parser.add_argument("--state", type=Path, required=True, help="directory that keeps fetched archives")
    parser.add_argument("--output", type=writes, required=True, help="JSON Lines file to write")
    args = parser.parse_args()
    task = TASKS[args.task]
    options = options_of_kind(parser, "--data", task.layout.Options, args.data)
    how = Cropping(args.prompt, unit_ends(args.tokenizer), args.splitter)
    records = challenge_records(task, args.files, options, how, args.state)
    write_jsonl(args.output, records)
    print(f"{len(records)} documents")


if __name__ == "__main__":
    run(main)
