"""Let the teacher answer the prompts that students are trained on; a killed job is resumed."""

import argparse
from pathlib import Path

from pipestill.job.script import json_option, reads, run, writes
from pipestill.settings.jobs import OutputSettings
from pipestill.teacher.outputs import Places, write_teacher_outputs


def main() -> None:
    """Parse the command line and write the teacher's outputs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=json_option(OutputSettings), required=True, help="JSON object")
    parser.add_argument("--prompts", type=reads, required=True, help="the study's sft.jsonl")
    parser.add_argument("--base", type=reads, required=True, help="directory of the teacher's base model")
    parser.add_argument("--teacher", type=reads, help="directory of the fine-tuned teacher; none: the base model")
    parser.add_argument("--state", type=Path, required=True, help="directory that keeps finished outputs")
    parser.add_argument("--output", type=writes, required=True, help="JSON Lines file to write")
    parser.add_argument("--cost", type=writes, required=True, help="JSON file to write")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--devices", type=int, default=1, help="that an engine with a server divides the model among")
    args = parser.parse_args()
    places = Places(args.prompts, args.base, args.teacher, args.state, args.output, args.cost)
    write_teacher_outputs(args.settings, places, args.threads, args.devices)


if __name__ == "__main__":
    run(main, heavy=True)
