"""Take sentences of the documents as summaries, without a model; how many is chosen on validation rows."""

import argparse

from pipestill.inference.extractive import RANKINGS, extract_experiment
from pipestill.job.script import reads, run, writes
from pipestill.text.sentences import SPLITTERS


def main() -> None:
    """Parse the command line and extract."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranking", choices=RANKINGS, required=True, help="which sentences are taken first")
    parser.add_argument("--records", type=reads, required=True, help="cropped records of the task")
    parser.add_argument("--documents", type=reads, help="records to summarise instead of the task's test records")
    parser.add_argument("--splitter", choices=SPLITTERS, default="sentencex", help="what finds sentences")
    parser.add_argument("--seed", type=int, required=True, help="name of the run; nothing is random")
    parser.add_argument("--output", type=writes, required=True, help="directory to write")
    args = parser.parse_args()
    documents = args.documents or args.records
    extract_experiment(args.records, documents, args.ranking, args.seed, args.output, args.splitter)


if __name__ == "__main__":
    run(main)
