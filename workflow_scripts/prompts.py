"""Crop the inputs of records, and write the prompts that models get."""

import argparse
from collections import Counter

from pipestill.io.records import RecordFile, write_jsonl
from pipestill.job.script import json_option, options_of_kind, reads, run, writes
from pipestill.layouts.base import Cropping
from pipestill.settings.prompts import Prompt
from pipestill.settings.tasks import Declared
from pipestill.tasks import find_task
from pipestill.text.crop import unit_ends
from pipestill.text.sentences import SPLITTERS


def main() -> None:
    """Parse the command line and write the cropped records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="name of the task")
    parser.add_argument("--declared", type=json_option(Declared), help="JSON object: a task that is declared")
    parser.add_argument("--data", required=True, help="JSON object: how long inputs may be")
    parser.add_argument("--tokenizer", type=reads, help="tokenizer.json whose tokens are counted, where tokens are")
    parser.add_argument("--splitter", choices=SPLITTERS, default="sentencex", help="what finds sentences")
    parser.add_argument("--prompt", type=json_option(Prompt), required=True, help="JSON object: the prompt")
    parser.add_argument("--records", type=reads, required=True, help="JSON Lines file to read")
    parser.add_argument("--output", type=writes, required=True, help="JSON Lines file to write")
    args = parser.parse_args()
    task = find_task(args.task, args.declared)
    options = options_of_kind(parser, "--data", task.layout.Options, args.data)
    how = Cropping(args.prompt, unit_ends(args.tokenizer), args.splitter)
    records, counts = RecordFile(args.records), Counter()
    write_jsonl(args.output, task.layout.crop_all(records, options, how, counts))
    print(f"cropped of {len(records)} records:", ", ".join(f"{n} {name}" for name, n in counts.items()))


if __name__ == "__main__":
    run(main)
