"""Measure the runs of one experiment: eval.json, the scores of single answers, and the model card."""

import argparse

from pipestill.evaluation.evaluate import evaluate, score_rows
from pipestill.evaluation.inputs import Inputs
from pipestill.evaluation.model_card import model_card
from pipestill.io.files import write_json, write_text
from pipestill.io.records import write_jsonl
from pipestill.job.script import json_option, reads, run, writes
from pipestill.settings.evaluation import Experiment


def main() -> None:
    """Parse the command line and evaluate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--experiment", type=json_option(Experiment), required=True, help="JSON object: what the experiment is"
    )
    parser.add_argument("--predictions", type=reads, required=True, help="directory of the predictions of all runs")
    parser.add_argument("--base", type=reads, help="directory of the base model, where the experiment has a model")
    parser.add_argument(
        "--models", type=reads, nargs="*", default=[], help="model directory of each run; none: the base"
    )
    parser.add_argument("--costs", type=reads, nargs="*", default=[], help="cost of the training of each run")
    parser.add_argument(
        "--parent-costs", type=reads, nargs="*", default=[], help="the same of the students that runs are made from"
    )
    parser.add_argument(
        "--teacher-costs", type=reads, nargs="*", default=[], help="cost of what the teacher did for them"
    )
    parser.add_argument("--usage", type=reads, help="what the annotation took that they learnt from")
    parser.add_argument("--annotator-cost", type=reads, help="cost of training the annotator, if it was trained here")
    parser.add_argument("--data", type=reads, nargs="+", required=True, help="records, then the training file if any")
    parser.add_argument("--bertscore", type=reads, help="file of BERTScores, where they were computed")
    parser.add_argument("--long-answers", type=reads, help="how many answers were too long to learn, where it is told")
    parser.add_argument("--context-accuracy", type=reads, help="how often the teacher with its context is right")
    parser.add_argument("--output", type=writes, required=True, help="eval.json")
    parser.add_argument("--scores", type=writes, required=True, help="scores.jsonl")
    parser.add_argument("--card", type=writes, required=True, help="the model card, README.md")
    args = parser.parse_args()
    inputs = Inputs(
        predictions=args.predictions,
        data=args.data,
        base=args.base,
        models=args.models,
        train_costs=args.costs,
        parent_costs=args.parent_costs,
        teacher_costs=args.teacher_costs,
        bertscore=args.bertscore,
        usage=args.usage,
        annotator_cost=args.annotator_cost,
        long_answers=args.long_answers,
        context_accuracy=args.context_accuracy,
    )
    evaluation, runs = evaluate(args.experiment, inputs)
    write_json(args.output, evaluation.model_dump())
    write_jsonl(args.scores, score_rows(runs))
    write_text(args.card, model_card(evaluation))


if __name__ == "__main__":
    run(main)
