"""Take prompts without gold outputs, which a teacher answers: of training rows, or of a file of inputs."""

import argparse
from pathlib import Path

from pipestill.io.records import read_jsonl, read_records, write_jsonl
from pipestill.job.script import json_option, reads, run, writes
from pipestill.layouts.base import Cropping
from pipestill.objectives.unlabelled import draw, of_file, of_training_split
from pipestill.settings.jobs import UnlabelledSettings
from pipestill.tasks import task_of
from pipestill.text.crop import unit_ends


def main() -> None:
    """Parse the command line and write records and prompts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=json_option(UnlabelledSettings), required=True, help="JSON object")
    parser.add_argument("--records", type=reads, required=True, help="cropped records")
    parser.add_argument("--labelled", type=reads, help="training rows whose gold outputs are known; none with a file")
    parser.add_argument("--tokenizer", type=reads, help="tokenizer.json whose tokens are counted, where tokens are")
    parser.add_argument("--output", type=writes, required=True, help="JSON Lines file of records to write")
    parser.add_argument("--prompts", type=writes, required=True, help="JSON Lines file of prompts to write")
    args = parser.parse_args()
    settings, task, records = args.settings, task_of(args.settings), read_records(args.records)
    if settings.file is None:
        found = of_training_split(records, {row["id"] for row in read_jsonl(args.labelled)})
    else:
        how = Cropping(settings.prompt, unit_ends(args.tokenizer), settings.splitter)
        found = of_file(task, Path(settings.file), settings, how, records)
    drawn = draw(found, settings.rows, settings.seed)
    write_jsonl(args.output, drawn)
    write_jsonl(args.prompts, ({"id": each.id, "input": settings.prompt.fill(each.inputs)} for each in drawn))
    print(f"{len(drawn)} of {len(found)} prompts without gold outputs")


if __name__ == "__main__":
    run(main)
