"""Compute BERTScore of the answers of an experiment's runs."""

import argparse

from pipestill.io.files import write_json
from pipestill.io.seals import made_again
from pipestill.job.script import reads, run, writes


def main() -> None:
    """Parse the command line and compute."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=reads, required=True, help="directory of the predictions of all runs")
    parser.add_argument("--test-sets", nargs="*", default=[], help="names of the test sets, if there are any")
    parser.add_argument("--encoder", type=reads, required=True, help="directory of the encoder")
    parser.add_argument("--layer", type=int, required=True, help="layer whose vectors are compared")
    parser.add_argument("--baseline", help="rescale: `corpus`, or a model whose baselines bert-score ships")
    parser.add_argument("--device", default="auto", help="as in the configuration's `hardware`")
    parser.add_argument("--output", type=writes, required=True, help="JSON file to write")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    args = parser.parse_args()
    from pipestill.answers.text.bertscore import bertscore_record
    from pipestill.metrics.bertscore import Encoder
    from pipestill.models.hardware import apply, plan_here
    from pipestill.settings.models import HardwareConfig

    plan = plan_here(HardwareConfig(device=args.device), "full", args.threads)
    apply(plan)
    encoder = Encoder(args.encoder, args.layer, plan.device)
    with made_again(args.predictions):
        record = bertscore_record(args.predictions, args.test_sets, encoder, args.baseline)
    write_json(args.output, record)
    print(f"{record['empty']} empty and {record['truncated']} cut texts")


if __name__ == "__main__":
    run(main, heavy=True)
