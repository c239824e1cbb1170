"""A training job from files to a model directory; killed at any time, the same call goes on where it was."""

import importlib.metadata
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.digests import code_digest
from pipestill.io.files import read_json, write_json
from pipestill.io.lock import exclusive
from pipestill.io.records import write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.job.startup import need
from pipestill.models.hardware import HardwarePlan, apply, plan_here
from pipestill.models.kinds import decoder_start
from pipestill.models.lineage import make_lineage
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.models.profile import check_gradients, profile
from pipestill.models.rows import Row, read_answers, read_explained, read_joined, read_pairs
from pipestill.models.saving import save_model
from pipestill.settings.train import TrainingSettings
from pipestill.training.answer_metric import check_selection
from pipestill.training.candidates import Candidates
from pipestill.training.history import selection_log, train_log
from pipestill.training.inputs import Inputs
from pipestill.training.memory import MemoryLog
from pipestill.training.selection import choose
from pipestill.training.state import TrainingState
from pipestill.training.trainers import make_trainer

LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "tokenizers", "numpy")
HARDWARE = ("device", "precision", "weights", "quantization", "optimizer")  # of the plan, what decides the result
TERMINATED = 143  # what a shell reports of a process that SIGTERM ended


def train(
    settings: TrainingSettings,
    inputs: Inputs,
    seed: int,
    threads: int,
    state_dir: Path,
    output: Path,
    cost_file: Path,
    memory_file: Path,
) -> None:
    """Train one model.

    Args:
        settings: objective, training and hardware.
        inputs: data and models.
        seed: of everything random.
        threads: torch threads.
        state_dir: keeps the state of a killed job; beside ``output``, not inside.
        output: model directory to make, in one step at the end.
        cost_file: JSON file for the cost of all attempts.
        memory_file: JSON Lines file for the memory at each step.

    Raises:
        UserError: bad data, a model or teacher that does not fit, or a loss that is not finite.
        SystemExit: 143 after SIGTERM, with the state saved.
    """
    if not 0 <= seed < 2**32:
        raise UserError(f"the seed is {seed}, but must be between 0 and 2^32 - 1")
    check_selection(settings)
    plan = plan_here(settings.hardware, settings.training.adaptation, threads)
    work = fingerprint(settings, plan, inputs, seed)
    with exclusive(state_dir):
        state = TrainingState(state_dir, work)
        cost = CostMeter(state.directory / "cost.json")
        if not state.is_finished():
            _train(settings, plan, inputs, seed, state, cost, output)
            cost.save()
        state.publish(output)
        write_json(cost_file, read_json(cost.ledger))
        write_jsonl(memory_file, MemoryLog(state.directory).rows())


def fingerprint(settings: TrainingSettings, plan: HardwarePlan, inputs: Inputs, seed: int) -> dict[str, Any]:
    """What defines the run. Threads are left out: they change no more than rounding, and a cluster may give fewer."""
    return {
        "settings": settings.model_dump(),
        "seed": seed,
        "hardware": {name: getattr(plan, name) for name in HARDWARE},
        "files": inputs.digests(),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "code": code_digest("train"),
    }


def _train(
    settings: TrainingSettings,
    plan: HardwarePlan,
    inputs: Inputs,
    seed: int,
    state: TrainingState,
    cost: CostMeter,
    output: Path,
) -> None:
    training = settings.training
    teacher = None
    if settings.objective == "dpo":
        need("datasets")
    with _enough_memory(settings):
        apply(plan)
        from pipestill.training.callbacks import KeepCandidates, KeepMemory, Report, Schedule, Termination

        tokenizer = load_tokenizer(inputs.base)
        start = decoder_start(inputs.base)
        if settings.objective == "dpo" and start is not None:
            raise UserError("`dpo` is for causal models, and the student is an encoder-decoder: use another method")
        read = _reader(settings, start)
        rows, held_out = (read(path, tokenizer, training.max_length) for path in (inputs.data, inputs.validation))
        if settings.objective == "divergence":
            from pipestill.training.make_teacher import make_teacher

            teacher = make_teacher(settings, inputs, tokenizer, plan)
            rows, held_out = teacher.prepare(rows, inputs.data), teacher.prepare(held_out, inputs.validation)
        model = load_start(settings, plan, inputs.base, inputs.init, seed)
        trainer = make_trainer(settings, plan, seed, model, tokenizer, rows, held_out, state, cost, teacher)
        gradients = check_gradients(trainer.model, trainer.hardest_batch(), trainer.mean_loss)
    checkpoint = state.last_checkpoint()
    if checkpoint:
        print(f"resuming at step {int(checkpoint.name)}", file=sys.stderr)
    candidates = Candidates(state.directory / "candidates", training.keep_best)
    with Termination() as termination:
        for callback in (
            Schedule(training.evaluations, training.checkpoints, trainer.batches),
            *([KeepCandidates(candidates)] if training.select != "last" else []),
            termination,
            KeepMemory(MemoryLog(state.directory)),
            Report("training", cost),
        ):
            trainer.add_callback(callback)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if trainer.state.global_step < trainer.state.max_steps:
            print(f"SIGTERM: the state of step {trainer.state.global_step} is saved, leaving", file=sys.stderr)
            raise SystemExit(TERMINATED)
    extras = {
        "hardware.json": plan.to_json(),
        "profile.json": profile(trainer.model, plan) | {"gradient_check": gradients},
        "training.json": settings.model_dump() | {"seed": seed},
        "history.jsonl": (history := trainer.history()),
        "train.log": train_log(history, trainer.state.max_steps),
    }
    if training.select != "last":
        extras["selection.json"] = selection = choose(trainer, tokenizer, settings, inputs.validation, candidates)
        extras["train.log"] += selection_log(selection)
        print(selection_log(selection), end="", file=sys.stderr)
    with Termination():  # so near to the end it is quicker to finish
        lineage = make_lineage(output, inputs.base, inputs.init)
        save_model(trainer.model, tokenizer, state.finished, lineage=lineage, extras=extras)


def _reader(settings: TrainingSettings, start: int | None) -> Callable[..., list[Row]]:
    """The function that reads rows of the objective, for a decoder that starts with the token ``start``, if any."""
    if settings.objective == "dpo":
        return read_pairs
    if settings.objective == "stepwise":
        return partial(read_explained if settings.has_two_tasks else read_joined, start=start)
    return partial(read_answers, start=start)


@contextmanager
def _enough_memory(settings: TrainingSettings) -> Iterator[None]:
    """Inside, an accelerator without room for models and longest rows is a mistake that the user can mend."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        beside = settings.objective == "divergence" and settings.training.divergence.teacher == "online"
        raise UserError(
            f"the model{' and its teacher do' if beside else ' does'} not fit in the accelerator's memory with the "
            "longest rows: lower training.batch_size, set training.gradient_checkpointing"
            + (", or set divergence.teacher to `cached`" if beside else "")
        ) from error


def load_start(settings: TrainingSettings, plan: HardwarePlan, base: Path, init: Path | None, seed: int) -> Any:
    """The model to train: the base model or the merged SFT student, with a fresh adapter or with all weights free."""
    from transformers import set_seed

    from pipestill.models.adapters import add_adapter

    if init is None:
        model = load_base_model(base, plan, training=True)
    else:
        model = load_trained_model(init, base, plan, merge=True, training=True)
    if settings.training.adaptation == "full":
        return model.requires_grad_(True)
    set_seed(seed)
    return add_adapter(model, settings.training.lora, plan)
