"""The course of a training run in words: what is shown while it runs, and its ``train.log``."""

from collections.abc import Mapping, Sequence
from typing import Any

SHOWN = {  # how parts of the loss and measurements are written
    "loss": "loss {:.4f}",
    "cross_entropy": "cross-entropy {:.4f}",
    "divergence": "divergence {:.4f}",
    "prediction_loss": "of predictions {:.4f}",
    "rationale_loss": "of rationales {:.4f}",
    "kl": "KL to the teacher {:.4f}",
    "agreement": "agreement with the teacher {:.1%}",
    "learning_rate": "learning rate {:.3g}",
    "grad_norm": "gradient norm {:.3g}",
}
PREFIX = "eval_"


def describe(row: Mapping[str, float | None]) -> str:
    """What a row of ``history.jsonl`` measured, in words."""
    measured = {name.removeprefix(PREFIX): value for name, value in row.items() if value is not None}
    text = ", ".join(form.format(measured[name]) for name, form in SHOWN.items() if name in measured)
    return f"validation {text}" if "eval_loss" in row else text


def train_log(history: Sequence[Mapping[str, float | None]], steps: int) -> str:
    """The run as a text: a line for each row of its history, without times, so that equal runs give equal bytes."""
    return "".join(f"step {row['step']}/{steps}: {describe(row)}\n" for row in history)


def selection_log(selection: Mapping[str, Any]) -> str:
    """The content of ``selection.json`` in lines."""
    lines = []
    for row in selection["candidates"]:
        measured = ", ".join(f"{name} {value:.4f}" for name, value in row.items() if name != "step")
        lines.append(f"candidate of step {row['step']}: {measured}\n")
    return "".join([*lines, f"the result has the weights of step {selection['step']}, chosen by {selection['by']}\n"])
