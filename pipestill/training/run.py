"""A training job from files to a model directory; killed at any time, the same call goes on where it was."""

import importlib.metadata
import sys
from pathlib import Path
from typing import Any

from pipestill.cost import CostMeter
from pipestill.digests import code_digest
from pipestill.errors import UserError
from pipestill.files import SHA256SUMS, read_json, sha256, write_json
from pipestill.imports import without
from pipestill.lock import exclusive
from pipestill.models.hardware import HardwarePlan, apply, plan_here
from pipestill.models.libraries import silence_libraries, unneeded_libraries
from pipestill.models.lineage import make_lineage
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.models.profile import check_gradients, profile
from pipestill.models.rows import read_answers, read_pairs
from pipestill.models.saving import save_model
from pipestill.training.settings import TrainingSettings
from pipestill.training.state import TrainingState
from pipestill.training.trainers import make_trainer

LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "tokenizers", "numpy")
HARDWARE = ("device", "precision", "weights", "quantization", "optimizer")  # of the plan, what decides the result
TERMINATED = 143  # what a shell reports of a process that SIGTERM ended


def train(
    settings: TrainingSettings,
    data: Path,
    validation: Path,
    base: Path,
    init: Path | None,
    seed: int,
    threads: int,
    state_dir: Path,
    output: Path,
    cost_file: Path,
) -> None:
    """Train one model.

    Args:
        settings: objective, training and hardware.
        data: training rows, in the schema of the objective.
        validation: validation rows, in the same schema.
        base: directory of the base model.
        init: model directory of the SFT student to start from, if any.
        seed: of everything random.
        threads: torch threads.
        state_dir: keeps the state of a killed job; beside ``output``, not inside.
        output: model directory to make, in one step at the end.
        cost_file: JSON file for the cost of all attempts.

    Raises:
        UserError: bad data, a model that does not fit, or a loss that is not finite.
        SystemExit: 143 after SIGTERM, with the state saved.
    """
    if not 0 <= seed < 2**32:
        raise UserError(f"the seed is {seed}, but must be between 0 and 2^32 - 1")
    plan = plan_here(settings.hardware, settings.training.adaptation, threads)
    work = fingerprint(settings, plan, data, validation, base, init, seed)
    with exclusive(state_dir):
        state = TrainingState(state_dir, work)
        cost = CostMeter(state.directory / "cost.json")
        if not state.is_finished():
            apply(plan)
            with without(*unneeded_libraries(plan, datasets=settings.objective == "dpo")):
                _train(settings, plan, data, validation, base, init, seed, state, cost, output)
            cost.save()
        state.publish(output)
        write_json(cost_file, read_json(cost.ledger))


def fingerprint(
    settings: TrainingSettings,
    plan: HardwarePlan,
    data: Path,
    validation: Path,
    base: Path,
    init: Path | None,
    seed: int,
) -> dict[str, Any]:
    """What defines the run. Threads are left out: they change no more than rounding, and a cluster may give fewer."""
    digests = {"data": data, "validation": validation, "base": base / SHA256SUMS}
    if init is not None:
        digests["init"] = init / SHA256SUMS
    for path in digests.values():
        if not path.is_file():
            raise UserError(f"{path} does not exist: make it first")
    return {
        "settings": settings.model_dump(),
        "seed": seed,
        "hardware": {name: getattr(plan, name) for name in HARDWARE},
        "files": {name: sha256(path) for name, path in digests.items()},
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "code": code_digest("train"),
    }


def _train(
    settings: TrainingSettings,
    plan: HardwarePlan,
    data: Path,
    validation: Path,
    base: Path,
    init: Path | None,
    seed: int,
    state: TrainingState,
    cost: CostMeter,
    output: Path,
) -> None:
    from pipestill.training.callbacks import Report, Schedule, Termination

    silence_libraries()
    training = settings.training
    tokenizer = load_tokenizer(base)
    read = read_pairs if settings.objective == "dpo" else read_answers
    rows, held_out = (read(path, tokenizer, training.max_length) for path in (data, validation))
    model = load_start(settings, plan, base, init, seed)
    trainer = make_trainer(settings, plan, seed, model, tokenizer, rows, held_out, state, cost)
    gradients = check_gradients(trainer.model, trainer.hardest_batch(), trainer.mean_loss)
    checkpoint = state.last_checkpoint()
    if checkpoint:
        print(f"resuming at step {int(checkpoint.name)}", file=sys.stderr)
    with Termination() as termination:
        for callback in (
            Schedule(training.evaluations, training.checkpoints, trainer.batches),
            termination,
            Report("training", cost),
        ):
            trainer.add_callback(callback)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if trainer.state.global_step < trainer.state.max_steps:
            print(f"SIGTERM: the state of step {trainer.state.global_step} is saved, leaving", file=sys.stderr)
            raise SystemExit(TERMINATED)
        save_model(
            trainer.model,
            tokenizer,
            state.finished,
            lineage=make_lineage(output, base, init),
            extras={
                "history.jsonl": trainer.history(),
                "hardware.json": plan.to_json(),
                "profile.json": profile(trainer.model, plan) | {"gradient_check": gradients},
                "training.json": settings.model_dump() | {"seed": seed},
            },
        )


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
