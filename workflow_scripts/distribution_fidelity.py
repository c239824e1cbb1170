"""Compare gradients from stored teacher distributions with exact ones, on validation tokens."""

import argparse

from pipestill.job.script import json_option, reads, run, writes
from pipestill.settings.distributions import FidelitySettings


def main() -> None:
    """Parse the command line and write angles and norm ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=json_option(FidelitySettings), required=True, help="JSON object")
    parser.add_argument("--manifest", type=reads, required=True, help="manifest.json of the distributions")
    parser.add_argument("--validation", type=reads, required=True, help="validation sft.jsonl")
    parser.add_argument("--base", type=reads, required=True, help="directory of the teacher's base model")
    parser.add_argument("--teacher", type=reads, help="directory of the fine-tuned teacher, if it was fine-tuned")
    parser.add_argument("--student", type=reads, required=True, help="directory of the student's base model")
    parser.add_argument("--output", type=writes, required=True, help="JSON file to write")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    args = parser.parse_args()
    from pipestill.teacher.distributions.capture import Sources
    from pipestill.teacher.distributions.fidelity import measure_fidelity

    sources = Sources([args.validation], args.base, args.teacher, args.student)
    measure_fidelity(args.settings, args.manifest, sources, args.output, args.threads)


if __name__ == "__main__":
    run(main, heavy=True)
