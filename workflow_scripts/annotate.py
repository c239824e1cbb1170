"""Let a language model write rationales for records; a repeated call resumes a killed job and pays nothing twice."""

import argparse
import json
from pathlib import Path

from pipestill.job.script import options_of_kind, reads, run, writes
from pipestill.settings.annotation import AnnotationConfig


def main() -> None:
    """Parse the command line and annotate, or estimate what that would take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="name of the task")
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON object")
    parser.add_argument("--pace", type=json.loads, default={}, help="JSON object: settings that no answer depends on")
    parser.add_argument("--records", type=reads, required=True, help="cropped records")
    parser.add_argument("--unlabelled", type=reads, nargs="*", default=[], help="further files, without gold outputs")
    parser.add_argument("--synthetic", action="store_true", help="say that the documents were generated")
    parser.add_argument("--model", type=reads, help="directory of the model to serve, for `provider: local`")
    parser.add_argument("--base", type=reads, help="directory of its base model")
    parser.add_argument("--device", default="auto", help="device of the served model")
    parser.add_argument("--threads", type=int, default=1, help="threads of the served model")
    parser.add_argument("--server-log", type=Path, help="file for what the server of the model prints")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--output", type=writes, help="JSON Lines file to write")
    what.add_argument("--estimate", type=writes, help="JSON file for an estimate, to send nothing")
    parser.add_argument("--usage", type=writes, help="JSON file for what the output took")
    args = parser.parse_args()
    settings = options_of_kind(parser, "--settings", AnnotationConfig, json.dumps(args.settings | args.pace))
    if args.synthetic:
        print(
            f"The documents of {args.task} are synthetic: they were generated, and are about no real case.", flush=True
        )
    from pipestill.annotation.annotate import annotate, write_estimate
    from pipestill.annotation.local_server import LocalModel

    local = LocalModel(args.model, args.base, args.device, args.threads, args.server_log) if args.model else None
    if args.estimate:
        write_estimate(settings, args.task, args.records, local, args.estimate, args.unlabelled)
    else:
        annotate(settings, args.task, args.records, local, args.output, args.usage, args.unlabelled)


if __name__ == "__main__":
    run(main)
