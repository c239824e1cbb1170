"""Learn the byte-level BPE of the project's own models from the synthetic corpus."""

import argparse

from pipestill.io.files import fresh_directory, write_sha256sums
from pipestill.job.script import run, writes


def main() -> None:
    """Parse the command line and learn the tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=writes, required=True, help="directory of the tokenizer")
    arguments = parser.parse_args()

    from pipestill.pretraining.tokenizer import save_tokenizer

    with fresh_directory(arguments.output) as directory:
        save_tokenizer(directory)
        write_sha256sums(directory)


if __name__ == "__main__":
    run(main)
