"""Capture a shard of the teacher's distributions at the tokens of answers; a killed job is resumed."""

import argparse
from pathlib import Path

from pipestill.job.script import json_option, reads, run, writes
from pipestill.settings.distributions import CaptureSettings


def main() -> None:
    """Parse the command line and write the shard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=json_option(CaptureSettings), required=True, help="JSON object")
    parser.add_argument("--data", type=reads, required=True, nargs="+", help="training and validation sft.jsonl")
    parser.add_argument("--base", type=reads, required=True, help="directory of the teacher's base model")
    parser.add_argument("--teacher", type=reads, help="directory of the fine-tuned teacher, if it was fine-tuned")
    parser.add_argument("--student", type=reads, required=True, help="directory of the student's base model")
    parser.add_argument("--shard", type=int, required=True, help="index of the shard, from 0")
    parser.add_argument("--shards", type=int, required=True, help="how many shards there are")
    parser.add_argument("--state", type=Path, required=True, help="directory that keeps finished rows")
    parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--facts", type=writes, required=True, help="JSON file to write about it")
    parser.add_argument("--cost", type=writes, required=True, help="JSON file to write")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    args = parser.parse_args()
    from pipestill.teacher.distributions.capture import ShardFiles, Sources, capture_shard

    sources = Sources(args.data, args.base, args.teacher, args.student)
    shard = ShardFiles(args.shard, args.shards, args.state, args.output, args.facts, args.cost)
    capture_shard(args.settings, sources, shard, args.threads)


if __name__ == "__main__":
    run(main, heavy=True)
