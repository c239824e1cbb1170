"""Full weights of a trained model, for programs that know nothing of lineages."""

from pathlib import Path

from pipestill.models.hardware import HardwarePlan, Precision
from pipestill.models.loading import load_tokenizer, load_trained_model


def write_merged(adapter: Path, base: Path, output: Path, precision: Precision = "fp32") -> None:
    """Write full weights, with their tokenizer: ``base`` with every merged ancestor and ``adapter``."""
    load_trained_model(adapter, base, HardwarePlan("cpu", precision), merge=True).save_pretrained(output)
    load_tokenizer(base).save_pretrained(output)
