"""The command line of a job that makes a model."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import get_args

from pipestill.job.script import json_option, reads, writes
from pipestill.settings.models import Strategy
from pipestill.settings.section import Section
from pipestill.training.files import Inputs, Outputs


def parse(description: str, settings: type[Section]) -> tuple[argparse.Namespace, Inputs, Outputs]:
    """Options of this process: ``settings``, ``seed``, ``threads``, ``strategy``, ``saves``; and the files.

    Args:
        description: of the program.
        settings: the section that its settings are.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--settings", type=json_option(settings), required=True, help="JSON object")
    parser.add_argument("--data", type=reads, required=True, help="training rows")
    parser.add_argument("--validation", type=reads, required=True, help="validation rows, in the same schema")
    parser.add_argument("--base", type=reads, required=True, help="directory of the base model")
    parser.add_argument("--init", type=reads, help="model directory of the student to start from")
    parser.add_argument("--teacher-base", type=reads, help="base model of a teacher that runs beside the student")
    parser.add_argument("--teacher", type=reads, help="its fine-tuned model")
    parser.add_argument("--distributions", type=reads, help="manifest of a teacher's stored distributions")
    parser.add_argument("--own-answers", type=reads, help="what the student itself said before this part of a training")
    parser.add_argument("--own-distributions", type=reads, help="manifest of what the teacher finds likely in that")
    parser.add_argument("--before", type=reads, help="what the job of the part before this one left")
    parser.add_argument("--seed", type=int, required=True, help="seed of everything random")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--strategy", choices=get_args(Strategy), default="ddp", help="of several processes")
    parser.add_argument("--saves", type=int, help="saves of the training state, over the whole run")
    parser.add_argument("--state", type=Path, required=True, help="directory that keeps the state of a killed job")
    parser.add_argument("--output", type=writes, required=True, help="directory to make")
    parser.add_argument("--cost", type=writes, required=True, help="JSON file for what the training cost")
    parser.add_argument("--memory", type=writes, required=True, help="JSON Lines file for the memory at each step")
    args = parser.parse_args()
    inputs = Inputs(**{each.name: getattr(args, each.name) for each in fields(Inputs)})
    return args, inputs, Outputs(args.state, args.output, args.cost, args.memory)
