"""A training job from files to a model directory; to resume a killed one, repeat the call."""

import importlib.metadata
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.files import write_json
from pipestill.io.lock import exclusive
from pipestill.io.records import Json, write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.job.halves import half
from pipestill.job.processes import Processes, joined
from pipestill.job.script import write_nothing
from pipestill.job.startup import need
from pipestill.job.state import read_state
from pipestill.models.division import collected
from pipestill.models.hardware import HardwarePlan, apply, in_main_memory, plan_here
from pipestill.models.lineage import make_lineage
from pipestill.models.profile import check_gradients, profile
from pipestill.settings.jobs import TrainingSettings
from pipestill.settings.models import Strategy
from pipestill.training.answer_metric import check_selection
from pipestill.training.candidates import CANDIDATES, Candidates
from pipestill.training.files import Inputs, Outputs
from pipestill.training.history import selection_log, train_log
from pipestill.training.job import Data, Job
from pipestill.training.memory import LOG, MemoryLog
from pipestill.training.recipe import PLAIN, Recipe
from pipestill.training.selection import choose
from pipestill.training.start import load_start
from pipestill.training.state import TrainingState, progress_of
from pipestill.training.weights import put_weights, trainable

LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "tokenizers", "numpy")
HARDWARE = ("device", "precision", "weights", "quantization", "optimizer")  # of the plan, what decides the result
TERMINATED = 143  # what a shell reports of a process that SIGTERM ended


def train(
    settings: TrainingSettings,
    inputs: Inputs,
    outputs: Outputs,
    seed: int,
    threads: int,
    recipe: Recipe = PLAIN,
    strategy: Strategy = "ddp",
) -> None:
    """Train one model.

    Args:
        settings: method, training and hardware.
        inputs: data and models.
        outputs: the model, and what training it took.
        seed: of everything random.
        threads: torch threads.
        recipe: what is done to the model before and after.
        strategy: what several processes do with the weights.

    Raises:
        UserError: bad data, a model or teacher that does not fit, or a loss that is not finite.
        SystemExit: 143 after SIGTERM, with the state saved.
    """
    if not 0 <= seed < 2**32:
        raise UserError(f"the seed is {seed}, but must be between 0 and 2^32 - 1")
    check_selection(settings)
    with joined() as processes:
        plan = plan_here(settings.hardware, settings.training.adaptation, max(1, threads // processes.beside))
        divided = strategy == "fsdp" and processes.size > 1
        plan = _noted(plan, processes, divided)
        work = fingerprint(settings, plan, inputs, seed) | recipe.identity()
        with exclusive(outputs.state) if processes.first else nullcontext():
            state = processes.lead(lambda: TrainingState(outputs.state, work))
            finished = processes.lead(state.is_finished)
            cost = CostMeter(state.directory / "cost.json")
            job = Job(settings, inputs, plan, seed, state, cost, processes, divided)
            if processes.first:
                _write(job, outputs, recipe, finished)
            else:
                write_nothing()
                _take_part(job, recipe, finished)


def _write(job: Job, outputs: Outputs, recipe: Recipe, finished: bool) -> None:
    """Make what is not made yet, and write all outputs."""
    with job.cost as cost:
        if not finished:
            _make(job, outputs, recipe)
            cost.save()
        job.state.publish(outputs.model)
    write_json(outputs.cost, read_state(cost.ledger))
    write_jsonl(outputs.memory, MemoryLog(job.state.directory).rows())


def _take_part(job: Job, recipe: Recipe, finished: bool) -> None:
    """Train with the first process, which does all the rest alone."""
    if recipe.trains and not finished:
        _prepare(job)
        _trained(job, recipe)


def _noted(plan: HardwarePlan, processes: Processes, divided: bool) -> HardwarePlan:
    """A process's plan with a note of the others.

    Raises:
        UserError: they have not a device each, or weights that cannot be divided.
    """
    if processes.size == 1:
        return plan
    found = processes.gather(plan.device)
    if set(found) not in ({"cpu"}, {"cuda"}):
        raise UserError(
            f"hardware.devices: {processes.size} devices are asked for, of the kinds `cpu` or `cuda`, and this job "
            f"finds {', '.join(found)}: lower it, or give the job more"
        )
    note = f"{processes.size} processes share each batch, each with a device and {plan.threads} threads of its own"
    if divided:
        in_main_memory(plan)
        note += "; weights, gradients and optimizer are divided among them"
    return replace(plan, notes=(*plan.notes, note))


def fingerprint(settings: TrainingSettings, plan: HardwarePlan, inputs: Inputs, seed: int) -> Json:
    """What defines the run. Threads are left out: they change no more than rounding, and a cluster may give fewer;
    and so are saves, which change nothing."""
    return {
        "settings": settings.model_dump(exclude={"training": {"saves"}}),
        "seed": seed,
        "hardware": {name: getattr(plan, name) for name in HARDWARE},
        "files": inputs.digests(),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def _make(job: Job, outputs: Outputs, recipe: Recipe) -> None:
    _prepare(job)
    trained = _trained(job, recipe) if recipe.trains else None
    if job.settings.part < job.settings.parts:
        job.state.put_aside([CANDIDATES, LOG])
        return
    model, extras = _described(*trained, job) if trained else _untrained(job, recipe)
    extras |= recipe.facts() | {
        "hardware.json": job.plan.to_json(),
        "training.json": job.settings.model_dump() | {"seed": job.seed},
    }
    from pipestill.training.callbacks import Termination

    with Termination():  # so near to the end it is quicker to finish
        lineage = make_lineage(outputs.model, job.inputs.base, job.inputs.init, list(job.settings.labels))
        recipe.save(model, job.tokenizer, job.state.finished, lineage=lineage, extras=extras)


def _prepare(job: Job) -> None:
    need(*job.objective.libraries)
    apply(job.plan)


def _untrained(job: Job, recipe: Recipe) -> tuple[Any, dict[str, Any]]:
    """What a recipe makes of the start, and what is to be written of it."""
    data = half(job.objective, "train").read(job.objective, job)
    model = recipe.start(load_start(job), job, data)
    return model, {"profile.json": profile(model.requires_grad_(False), job.plan)}


def _trained(job: Job, recipe: Recipe) -> tuple[Any, dict[str, Any], Candidates]:
    """The trainer at the end of the training, the check of its first gradients, and what is chosen from."""
    train = half(job.objective, "train")
    with _enough_memory(job):
        data = train.read(job.objective, job)
        trainer = train.trainer(job.objective, job, _start(job, recipe, data), data)
        gradients = check_gradients(trainer.model, trainer.hardest_batch(), trainer.mean_loss)
    candidates = Candidates(job.state.directory / CANDIDATES, job.settings.training.keep_best)
    job.processes.lead(lambda: _check_candidates(job, candidates))
    _run(trainer, job, candidates, recipe)
    weights = collected(trainable(trainer.model), job.processes.first) if job.divided else {}
    job.processes.part()
    if weights:
        trainer.model = _start(job, recipe, data)
        put_weights(trainer.model, weights)
    return trainer, gradients, candidates


def _checkpoint(job: Job) -> Path | None:
    """The last one of this job, or what the job before it left."""
    found, before = job.state.last_checkpoint(), job.inputs.before
    return job.state.take_over(before) if found is None and before else found


def _check_candidates(job: Job, candidates: Candidates) -> None:
    if not candidates.are_whole():
        job.state.drop_checkpoints()  # the steps before them must be done again to offer them again


def _described(trainer: Any, gradients: dict[str, Any], candidates: Candidates, job: Job) -> tuple[Any, dict[str, Any]]:
    """The trained model with the weights that were chosen, and what is to be written of its training."""
    history = trainer.history()
    extras = {
        "profile.json": profile(trainer.model, job.plan) | {"gradient_check": gradients},
        "history.jsonl": history,
        "train.log": train_log(history, trainer.state.max_steps, job.objective.parts),
    }
    if job.settings.training.select != "last":
        extras["selection.json"] = selection = choose(trainer, job, candidates)
        extras["train.log"] += selection_log(selection)
        print(selection_log(selection), end="", file=sys.stderr)
    return trainer.model, extras


@contextmanager
def _enough_memory(job: Job) -> Iterator[None]:
    """Inside, an accelerator without room for models and longest rows is a mistake that the user can mend."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        beside = job.objective.online(job.options)
        raise UserError(
            f"the model{' and its teacher do' if beside else ' does'} not fit in the accelerator's memory with the "
            "longest rows: lower training.batch_size, set training.gradient_checkpointing"
            + (f", or set {job.objective.section}.teacher to `cached`" if beside else "")
        ) from error


def _start(job: Job, recipe: Recipe, data: Data) -> Any:
    """The model before the first step; in main memory, where its weights are to be divided or were."""
    if job.divided:
        job = replace(job, plan=in_main_memory(job.plan))
    return recipe.start(load_start(job), job, data)


def _run(trainer: Any, job: Job, candidates: Candidates, recipe: Recipe) -> None:
    """Train to the end from where the state says, offering the weights of evaluations as candidates."""
    from pipestill.training.callbacks import (
        EndOfPart,
        KeepCandidates,
        KeepMemory,
        OwnRandomness,
        Report,
        Schedule,
        Termination,
    )

    training, processes = job.settings.training, job.processes
    checkpoint = processes.lead(lambda: _checkpoint(job))
    end = EndOfPart(job.settings.part, job.settings.parts)
    more = job.settings.part < job.settings.parts
    if more and checkpoint and end.is_reached(*progress_of(checkpoint)):
        return  # what it leaves is that checkpoint
    writing = (
        [
            KeepMemory(MemoryLog(job.state.directory)),
            Report("training", job.cost, job.objective.parts),
        ]
        if processes.first
        else []
    )
    if checkpoint and processes.first:
        print(f"resuming at step {int(checkpoint.name)}", file=sys.stderr)
    with Termination(processes) as termination:
        for callback in (
            *recipe.callbacks(trainer.model),
            Schedule(training.evaluations, training.saves, trainer.batches),
            *([OwnRandomness(job.seed, processes)] if processes.size > 1 else []),
            termination,
            end,
            *([KeepCandidates(candidates, processes)] if training.select != "last" else []),
            *writing,
        ):
            trainer.add_callback(callback)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if not end.is_reached(trainer.state.global_step, trainer.state.max_steps):
            if processes.first:
                print(f"SIGTERM: the state of step {trainer.state.global_step} is saved, leaving", file=sys.stderr)
            raise SystemExit(TERMINATED)
