"""Write the report over all experiments: tables, comparisons, figures and the page."""

import argparse
from pathlib import Path

from pipestill.job.script import run
from pipestill.reporting.report import write_report


def main() -> None:
    """Parse the command line and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evals", type=Path, nargs="+", required=True, help="eval.json of every experiment")
    parser.add_argument(
        "--fidelity", type=Path, nargs="*", default=[], help="fidelity.json of the studies that have a cache"
    )
    parser.add_argument("--config", type=Path, required=True, help="the run's configuration")
    parser.add_argument("--output-dir", type=Path, required=True)
    args = parser.parse_args()
    write_report(args.evals, args.fidelity, args.config, args.output_dir)


if __name__ == "__main__":
    run(main)
