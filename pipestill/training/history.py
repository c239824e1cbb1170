"""The course of a training run in words: what is shown while it runs, and its ``train.log``."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipestill.objectives.base import Part

LOSS = Part("loss", "loss {:.4f}")
STEP = (Part("learning_rate", "learning rate {:.3g}"), Part("grad_norm", "gradient norm {:.3g}"))  # never of validation
PREFIX = "eval_"

Row = Mapping[str, float | None]


def logged(parts: Sequence[Part]) -> list[str]:
    """Names of what the history of an objective with ``parts`` keeps, in order."""
    names = [part.name for part in (LOSS, *(part for part in parts if part.in_training), *STEP)]
    return names + [f"{PREFIX}{part.name}" for part in (LOSS, *parts)]


def describe(row: Row, parts: Sequence[Part]) -> str:
    """What a row of ``history.jsonl`` measured, in words."""
    measured = {name.removeprefix(PREFIX): value for name, value in row.items() if value is not None}
    shown = (LOSS, *parts, *STEP)
    text = ", ".join(part.form.format(measured[part.name]) for part in shown if part.name in measured)
    return f"validation {text}" if "eval_loss" in row else text


def train_log(history: Sequence[Row], steps: int, parts: Sequence[Part]) -> str:
    """The run as a text: a line for each row of its history, without times, so that equal runs give equal bytes."""
    return "".join(f"step {row['step']}/{steps}: {describe(row, parts)}\n" for row in history)


def selection_log(selection: Mapping[str, Any]) -> str:
    """The content of ``selection.json`` in lines."""
    lines = []
    for row in selection["candidates"]:
        measured = ", ".join(f"{name} {value:.4f}" for name, value in row.items() if name != "step")
        lines.append(f"candidate of step {row['step']}: {measured}\n")
    return "".join([*lines, f"the result has the weights of step {selection['step']}, chosen by {selection['by']}\n"])
