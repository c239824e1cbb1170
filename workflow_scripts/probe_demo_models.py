"""Probe models on held-out documents of the pre-training corpus and print a table, one column a model."""

import argparse
from pathlib import Path

from pipestill.job.script import run


def main() -> None:
    """Parse the command line, probe each model and print the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, help="model directories; the shipped ones if none is given")
    parser.add_argument("--documents", type=int, help="documents per family")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    import torch

    from pipestill.pretraining.probes import DOCUMENTS, mean_accuracy, probe
    from pipestill.pretraining.recipe import RECIPES

    torch.set_num_threads(arguments.threads)
    shipped = Path(__file__).resolve().parent.parent / "resources/models"
    models = arguments.models or [shipped / name for name in RECIPES]
    results = [probe(model, arguments.documents or DOCUMENTS) for model in models]
    print(f"{'probe':<14}" + "".join(f"{model.name:>18}" for model in models))
    for name in results[0]:
        print(f"{name:<14}" + "".join(f"{result[name]['accuracy']:>18.4f}" for result in results))
    print(f"{'mean':<14}" + "".join(f"{mean_accuracy(result):>18.4f}" for result in results))


if __name__ == "__main__":
    run(main)
