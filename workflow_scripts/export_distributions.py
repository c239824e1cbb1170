"""Write stored teacher distributions as a Parquet table."""

import argparse

from pipestill.job.script import reads, run, writes


def main() -> None:
    """Parse the command line and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=reads, required=True, help="manifest.json of the distributions")
    parser.add_argument("--output", type=writes, required=True, help="Parquet file to write")
    parser.add_argument("--data", type=reads, nargs="+", default=[], help="sft.jsonl files, for ids and tokens")
    parser.add_argument("--student", type=reads, help="directory of the student's base model, for the same")
    args = parser.parse_args()
    if bool(args.data) != (args.student is not None):
        parser.error("--data and --student are given together")
    from pipestill.teacher.distributions.export import export_parquet

    export_parquet(args.manifest, args.output, args.data, args.student)


if __name__ == "__main__":
    run(main)
