"""Predict with every run of an experiment; a killed job is resumed."""

import argparse
from pathlib import Path

from pipestill.inference.experiment import Runs, predict_experiment
from pipestill.job.script import json_option, reads, run, writes
from pipestill.settings.jobs import PredictionSettings


def main() -> None:
    """Parse the command line and predict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=json_option(PredictionSettings), required=True, help="JSON object")
    parser.add_argument("--records", type=reads, required=True, help="cropped records")
    parser.add_argument("--base", type=reads, required=True, help="directory of the base model")
    parser.add_argument("--seeds", type=int, nargs="+", required=True, help="seed of each run")
    parser.add_argument("--models", type=reads, nargs="*", help="model directory of each run; none: the base model")
    parser.add_argument("--distributions", type=reads, help="manifest of the teacher's distributions, to compare with")
    parser.add_argument("--agreement-data", type=reads, help="rows whose answers are compared")
    parser.add_argument("--demonstrations", type=reads, help="training rows that demonstrations are drawn from")
    parser.add_argument("--state", type=Path, required=True, help="directory that keeps what is finished")
    parser.add_argument("--output", type=writes, required=True, help="directory to write")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--devices", type=int, default=1, help="that an engine with a server divides the model among")
    args = parser.parse_args()
    measure = None
    if args.distributions:
        from pipestill.teacher.agreement import Agreement

        measure = Agreement(args.distributions, args.agreement_data)
    models = dict(zip(args.seeds, args.models or [None] * len(args.seeds), strict=True))
    runs = Runs(args.base, models, args.demonstrations)
    predict_experiment(args.settings, runs, args.records, args.state, args.output, args.threads, measure, args.devices)


if __name__ == "__main__":
    run(main, heavy=True)
