"""The steps of a training: how many there are, whose they are, and which rows they learn from."""

import math
from collections.abc import Iterator

from pipestill.errors import UserError
from pipestill.settings.training import TrainingConfig
from pipestill.training.sampler import LengthGroupedBatches


def end_of_part(steps: int, part: int, parts: int) -> int:
    """Steps that are done when part number ``part`` of a training of ``steps`` ends; of part 0, none.

    Raises:
        UserError: there is not a step for each part.
    """
    if steps < parts:
        raise UserError(
            f"the training has {steps} steps, which cannot be divided into {parts} rounds: lower `on_policy.rounds`"
        )
    return -(-steps * part // parts)


def steps_of(training: TrainingConfig, batches: LengthGroupedBatches) -> int:
    """Optimizer steps of a training, as transformers' Trainer counts them."""
    each = math.ceil(len(batches) / training.accumulation_steps)
    return training.max_steps or math.ceil(training.epochs * each)


def rows_of(batches: LengthGroupedBatches, accumulation: int, steps: range) -> Iterator[tuple[int, list[int]]]:
    """Each of some steps, and the places of its rows in the training file.

    Args:
        batches: of the training; their epoch is set.
        accumulation: batches of a step.
        steps: from 0.
    """
    each = math.ceil(len(batches) / accumulation)
    for step in steps:
        batches.epoch = step // each
        order, first = list(batches), step % each * accumulation
        yield step, [place for rows in order[first : first + accumulation] for place in rows]
