"""Pre-train one of the project's own base models; a repeated call resumes from its last state."""

import argparse
from pathlib import Path

from pipestill.job.script import reads, run, writes


def main() -> None:
    """Parse the command line, train, probe, and write the model's directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="a recipe's name, such as demo-student")
    parser.add_argument("--tokenizer", type=reads, required=True, help="directory of the tokenizer")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--state", type=Path, required=True, help="file of the resumable state")
    parser.add_argument("--output", type=writes, required=True, help="directory of the finished model")
    arguments = parser.parse_args()

    import torch
    from tokenizers import Tokenizer

    from pipestill.io.files import fresh_directory, write_sha256sums
    from pipestill.io.records import write_jsonl
    from pipestill.pretraining.export import export_model, fingerprint
    from pipestill.pretraining.model_card import write_model_card
    from pipestill.pretraining.pretrain import pretrain
    from pipestill.pretraining.probes import probe
    from pipestill.pretraining.recipe import RECIPES

    torch.set_num_threads(arguments.threads)
    tokenizer = Tokenizer.from_file(str(arguments.tokenizer / "tokenizer.json"))
    recipe = RECIPES[arguments.name]
    model, log, counters = pretrain(recipe, tokenizer, arguments.state, fingerprint(recipe, tokenizer))
    with fresh_directory(arguments.output) as directory:
        export_model(model, arguments.tokenizer, directory)
        write_jsonl(directory / "training_log.jsonl", log)
        write_model_card(directory, arguments.name, recipe, counters, log, probe(directory))
        write_sha256sums(directory)


if __name__ == "__main__":
    run(main)
