"""When to evaluate and save, how to leave on SIGTERM, and what to show."""

import math
import signal
import time
from collections.abc import Sequence
from types import FrameType

import numpy as np
import torch
from transformers import TrainerCallback

from pipestill.errors import UserError
from pipestill.job.cost import CostMeter
from pipestill.job.processes import ALONE, Processes
from pipestill.job.progress import Progress
from pipestill.models.division import collected
from pipestill.objectives.base import Part
from pipestill.training.candidates import Candidates
from pipestill.training.history import describe
from pipestill.training.memory import MemoryLog
from pipestill.training.sampler import LengthGroupedBatches
from pipestill.training.steps import end_of_part
from pipestill.training.weights import trainable

COST_INTERVAL = 10.0  # seconds between notes of the cost so far, for the attempt that a kill ends


def spread(times: int, steps: int, *, last: bool) -> set[int]:
    """``times`` steps spread evenly over ``steps``; the last step is one of them, or, if not ``last``, none."""
    parts = times if last else times + 1
    return {math.ceil(steps * part / parts) for part in range(1, times + 1)} - (set() if last else {steps})


class Schedule(TrainerCallback):
    """Evaluates and saves evenly over the run, and tells the batches their epoch.

    The end is not saved: there the result is written.
    """

    def __init__(self, evaluations: int, saves: int, batches: LengthGroupedBatches):
        self.evaluations, self.saves, self.batches = evaluations, saves, batches

    def on_train_begin(self, args, state, control, **kwargs):
        """Lay the steps out.

        Raises:
            UserError: the warm-up is not over before the training.
        """
        if args.warmup_steps >= max(state.max_steps, 1):
            raise UserError(
                f"`warmup` is {args.warmup_steps:g} steps, and the training {state.max_steps}: lower it, or give a "
                "share below 1"
            )
        self.evaluate_at = spread(self.evaluations, state.max_steps, last=True)
        self.save_at = spread(self.saves, state.max_steps, last=False)

    def on_epoch_begin(self, args, state, control, **kwargs):
        """Set the epoch from the steps done, which a resume knows exactly."""
        steps_per_epoch = math.ceil(len(self.batches) / args.gradient_accumulation_steps)
        self.batches.epoch = state.global_step // steps_per_epoch

    def on_step_end(self, args, state, control, **kwargs):
        """Ask for what is due."""
        control.should_evaluate = state.global_step in self.evaluate_at
        control.should_save = state.global_step in self.save_at


class EndOfPart(TrainerCallback):
    """Saves and stops where the steps of a job end that does one part of a training; the last part ends with it.

    Args:
        part: number of the part, from 1.
        parts: that the steps are divided among.
    """

    def __init__(self, part: int, parts: int):
        self.part, self.parts = part, parts

    def is_reached(self, step: int, steps: int) -> bool:
        """True if ``step`` of ``steps`` was the last one of the part."""
        return step >= end_of_part(steps, self.part, self.parts)

    def on_step_end(self, args, state, control, **kwargs):
        """Stop here if this was the last step; at the end of all there is nothing to stop."""
        if self.is_reached(state.global_step, state.max_steps) and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True


class OwnRandomness(TrainerCallback):
    """Gives each process its own random numbers, for dropout, by seed and step: no state that a resume has to bring
    back, with as many processes or with others."""

    def __init__(self, seed: int, processes: Processes):
        self.seed, self.processes = seed, processes

    def on_step_begin(self, args, state, control, **kwargs):
        """Seed torch."""
        drawn = np.random.SeedSequence([self.seed, state.global_step, self.processes.rank])
        torch.manual_seed(int(drawn.generate_state(1, np.uint64)[0]))


class KeepCandidates(TrainerCallback):
    """Offers the weights of every evaluation as the result; processes that divide them need each other for it."""

    def __init__(self, candidates: Candidates, processes: Processes = ALONE):
        self.candidates, self.processes = candidates, processes

    def on_evaluate(self, args, state, control, metrics=None, model=None, **kwargs):
        """Keep them if their validation loss is low enough."""
        weights = collected(trainable(model), self.processes.first)
        if self.processes.first:
            self.candidates.offer(state.global_step, metrics["eval_loss"], weights)


class KeepMemory(TrainerCallback):
    """Measures the memory of every step, after its evaluation where it has one."""

    def __init__(self, log: MemoryLog):
        self.memory = log

    def on_log(self, args, state, control, **kwargs):
        """Keep what is held now."""
        self.memory.measure(state.global_step)


class Termination(TrainerCallback):
    """On SIGTERM, as from a cluster's scheduler: finish the step, save, and stop. Use as a context manager."""

    def __init__(self, processes: Processes = ALONE):
        self.requested, self.processes = False, processes

    def __enter__(self) -> "Termination":
        """Take the signal."""
        self.previous = signal.signal(signal.SIGTERM, self._request)
        return self

    def __exit__(self, *error: object) -> None:
        """Give it back."""
        signal.signal(signal.SIGTERM, self.previous)

    def _request(self, signum: int, frame: FrameType | None) -> None:
        self.requested = True

    def on_step_end(self, args, state, control, **kwargs):
        """Stop here if asked, all processes at one step; at the last step there is nothing to stop."""
        if any(self.processes.gather(self.requested)) and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True


class Report(TrainerCallback):
    """Shows rate, time left and loss, and notes the cost now and then."""

    def __init__(self, label: str, cost: CostMeter, parts: Sequence[Part]):
        self.label, self.cost, self.parts = label, cost, parts
        self.evaluation = ""

    def on_train_begin(self, args, state, control, **kwargs):
        """Start counting where the run stands."""
        self.progress = Progress(state.max_steps, "steps", self.label, done=state.global_step)
        self.noted = time.monotonic()

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Show what was measured last."""
        if "eval_loss" in logs:
            self.evaluation = f"; {describe(logs, self.parts)}"
        else:
            self.progress.update(1, f"{describe(logs, self.parts)}{self.evaluation}")

    def on_step_end(self, args, state, control, **kwargs):
        """Note the cost."""
        if time.monotonic() - self.noted > COST_INTERVAL:
            self.noted = time.monotonic()
            self.cost.save()
