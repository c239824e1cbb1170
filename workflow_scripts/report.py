"""Write the report over all experiments: tables, comparisons, figures and the page."""

import argparse
import json
from pathlib import Path

from pipestill.job.script import reads, run, writes
from pipestill.reporting.curves import Curves
from pipestill.reporting.report import Sources, write_report


def main() -> None:
    """Parse the command line and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evals", type=reads, nargs="+", required=True, help="eval.json of every experiment")
    parser.add_argument("--scores", type=reads, nargs="*", default=[], help="scores.jsonl, beside each of them")
    parser.add_argument("--predictions", type=reads, nargs="*", default=[], help="predictions, beside each of them")
    parser.add_argument("--records", type=reads, nargs="*", default=[], help="cropped records of every task")
    parser.add_argument("--titles", type=json.loads, default={}, help="JSON object: titles of studies that have one")
    parser.add_argument(
        "--fidelity", type=reads, nargs="*", default=[], help="fidelity.json of the studies that have a cache"
    )
    parser.add_argument("--sizes", type=reads, nargs="*", default=[], help="sizes of the models of some studies")
    parser.add_argument("--curves", type=json.loads, default={}, help="JSON object: points of each study's curve")
    parser.add_argument("--worth", type=json.loads, default={}, help="JSON object: points of curves of rows")
    parser.add_argument("--curve-evals", type=reads, nargs="*", default=[], help="eval.json of its further points")
    parser.add_argument("--curve-predictions", type=reads, nargs="*", default=[], help="predictions beside them")
    parser.add_argument("--config", type=reads, required=True, help="the run's configuration")
    parser.add_argument("--output-dir", type=Path, required=True)
    args = parser.parse_args()
    sources = Sources(
        evaluations=args.evals,
        config=args.config,
        records=args.records,
        fidelity=args.fidelity,
        titles=args.titles,
        sizes=args.sizes,
        curves=Curves(args.curves, args.worth, args.curve_evals),
    )
    for path in write_report(sources, args.output_dir):
        writes(path)


if __name__ == "__main__":
    run(main)
