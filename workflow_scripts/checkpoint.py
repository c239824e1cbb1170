"""Take a model from disk, full weights or an adapter, to evaluate it as a study's student."""

import argparse
from pathlib import Path

from pipestill.job.script import reads, run, writes


def main() -> None:
    """Parse the command line and make the model directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", required=True, type=Path, help="directory of the checkpoint")
    parser.add_argument("--base", required=True, type=reads, help="directory of its base model")
    parser.add_argument("--output", required=True, type=writes, help="directory to make")
    args = parser.parse_args()
    from pipestill.models.checkpoint import provide_checkpoint

    provide_checkpoint(args.path, args.base, args.output)


if __name__ == "__main__":
    run(main, heavy=True)
