"""Write the answers of an experiment's runs in the layout of the MultiClinSum challenge."""

import argparse

from pipestill.job.script import reads, run, writes
from pipestill.tasks.multiclinsum.submission import write_submissions


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=reads, required=True, help="directory of the predictions of all runs")
    parser.add_argument("--records", type=reads, required=True, help="the records that they answer")
    parser.add_argument("--team", required=True, help="name of the team")
    parser.add_argument("--output", type=writes, required=True, help="directory to write")
    args = parser.parse_args()
    for name, made in write_submissions(args.predictions, args.records, args.team, args.output).items():
        print(f"{name}: {len(made.files)} summaries, {len(made.empty)} of them empty {made.empty[:10] or ''}".strip())


if __name__ == "__main__":
    run(main)
