"""The pre-training loop: copy curriculum, then the corpus; a killed run resumes from its last state."""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from pipestill.errors import UserError
from pipestill.io.files import atomic_path
from pipestill.job.progress import Progress
from pipestill.job.state import drop
from pipestill.pretraining.architectures import ARCHITECTURES
from pipestill.pretraining.packing import CorpusBatches, Drills, RepeatedStrings, first_plain_id
from pipestill.pretraining.recipe import Recipe

LOG_EVERY = 20  # steps
BETAS = (0.9, 0.95)
SAVE_EVERY = 150.0  # seconds


def corpus_batches(recipe: Recipe, tokenizer) -> CorpusBatches:
    """The corpus of ``recipe``."""
    architecture = ARCHITECTURES[recipe.shape.kind]
    return CorpusBatches(architecture, tokenizer, recipe.corpus_seed, recipe.rows, recipe.length, recipe.strings_from)


@dataclass
class Counters:
    """The cost of a run so far."""

    copy_steps: int = 0
    step: int = 0
    tokens: int = 0
    supervised: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0


def _copy_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """AdamW for everything: orthogonalised steps would blur the circuit that the initialisation set."""
    return torch.optim.AdamW(model.parameters(), betas=BETAS, weight_decay=0.0, fused=True)


def _corpus_optimizers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers; AdamW for the embeddings and the vectors."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    embeddings = [p for p in model.parameters() if id(p) in tables]
    matrices = [p for p in model.parameters() if p.dim() == 2 and id(p) not in tables]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    decay = recipe.weight_decay
    adamw = [
        {"params": embeddings, "weight_decay": decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [
        torch.optim.Muon(matrices, momentum=0.95, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(adamw, betas=BETAS, fused=True),
    ]


def pretrain(
    recipe: Recipe,
    tokenizer,
    state_path: Path,
    fingerprint: str,
) -> tuple[nn.Module, list[dict], Counters]:
    """Run ``recipe`` to its end, resuming from ``state_path`` if a state with ``fingerprint`` lies there.

    Args:
        tokenizer: a ``tokenizers.Tokenizer``.

    Returns:
        The model, the training log and the counters.

    Raises:
        UserError: the state belongs to another recipe, tokenizer or corpus.
    """
    run = _Run(recipe, tokenizer, state_path, fingerprint)
    run.copy_phase()
    run.corpus_phase()
    return run.model, run.log, run.counters


class _Run:
    """One pre-training run and its resumable state."""

    def __init__(self, recipe: Recipe, tokenizer, state_path: Path, fingerprint: str):
        self.recipe, self.tokenizer, self.state_path, self.fingerprint = recipe, tokenizer, state_path, fingerprint
        self.architecture = ARCHITECTURES[recipe.shape.kind]
        self.model = self.architecture.build(recipe.shape, tokenizer.get_vocab_size(), recipe.seed)
        self.optimizers = _corpus_optimizers(self.model, recipe)
        self.counters, self.log = Counters(), []
        if state_path.exists():
            self._load()
        self.clock = _Clock(self.counters)

    def _load(self) -> None:
        try:
            state = torch.load(self.state_path, map_location="cpu", weights_only=True)
            found = state["fingerprint"]
        except Exception:  # torch and pickle raise whatever broken bytes lead to
            drop(self.state_path)
            return
        if found != self.fingerprint:
            raise UserError(
                f"{self.state_path} was made by another recipe, tokenizer or corpus: delete it to start again"
            )
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.counters, self.log = Counters(**state["counters"]), state["log"]

    def _save(self) -> None:
        state = {
            "fingerprint": self.fingerprint,
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "counters": asdict(self.counters),
            "log": self.log,
        }
        with atomic_path(self.state_path) as temporary:
            torch.save(state, temporary)
        self.clock.saved = time.monotonic()

    def _step(self, batch, optimizers: dict[torch.optim.Optimizer, float]) -> tuple[float, float]:
        """One update by ``{optimizer: learning rate}``; returns the loss and the share of right supervised tokens."""
        logits, targets = self.architecture.supervised_logits(self.model, batch)
        loss = nn.functional.cross_entropy(logits, targets)
        if not math.isfinite(loss.item()):
            raise UserError(f"the loss became {loss.item()}: lower the learning rate and delete {self.state_path}")
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        for optimizer, lr in optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
        self.model.zero_grad()
        self.counters.tokens += batch.tokens
        self.counters.supervised += targets.numel()
        return loss.item(), (logits.argmax(-1) == targets).float().mean().item()

    def _record(self, phase: str, step: int, seen: list[tuple[float, float]]) -> None:
        """Log the means of the last steps."""
        self.clock.read()
        loss, accuracy = (round(sum(values) / len(seen), 4) for values in zip(*seen, strict=True))
        entry = {"phase": phase, "step": step, "loss": loss, "accuracy": accuracy, "tokens": self.counters.tokens}
        self.log.append({**entry, "cpu_s": round(self.counters.cpu_seconds, 1)})

    def copy_phase(self) -> None:
        """Repeated random strings until ten steps in a row are copied well; too short to be resumed half-way."""
        recipe, counters = self.recipe, self.counters
        if counters.step:
            return
        ids = range(first_plain_id(self.tokenizer), self.tokenizer.get_vocab_size())
        seed, rows, length = f"copy {recipe.seed}", recipe.copy_rows, recipe.copy_length
        strings = RepeatedStrings(self.architecture, ids, seed, rows, length)
        if self.architecture.further:
            strings = Drills(self.architecture, self.tokenizer, seed, rows, length)
        optimizer = _copy_optimizer(self.model)
        seen: list[tuple[float, float]] = []
        for step in range(recipe.copy_steps):
            seen.append(self._step(strings(step), {optimizer: recipe.copy_lr * min(1.0, (step + 1) / recipe.warmup)}))
            if len(seen) >= 10 and min(accuracy for _, accuracy in seen[-10:]) >= recipe.copy_accuracy:
                break
        counters.copy_steps = len(seen)
        self._record("copy", len(seen), seen[-10:])

    def corpus_phase(self) -> None:
        """The corpus, from the last saved step to the end of the schedule."""
        recipe, counters = self.recipe, self.counters
        corpus = corpus_batches(recipe, self.tokenizer)
        progress = Progress(recipe.steps, "steps", "pre-training", done=counters.step)
        seen: list[tuple[float, float]] = []
        while counters.step < recipe.steps:
            share = recipe.schedule(counters.step)
            rates = dict(zip(self.optimizers, (recipe.lr * share, recipe.embedding_lr * share), strict=True))
            seen.append(self._step(corpus(counters.step), rates))
            counters.step += 1
            progress.update(note=f"loss {seen[-1][0]:.3f}")
            if counters.step % LOG_EVERY == 0 or counters.step == recipe.steps:
                self._record("corpus", counters.step, seen)
                seen = []
                if self.clock.since_save() > SAVE_EVERY or counters.step == recipe.steps:
                    self._save()


class _Clock:
    """Adds CPU and wall seconds to the counters, across processes."""

    def __init__(self, counters: Counters):
        self.counters = counters
        self.cpu, self.wall = time.process_time(), time.monotonic()
        self.saved = self.wall

    def read(self) -> None:
        cpu, wall = time.process_time(), time.monotonic()
        self.counters.cpu_seconds += cpu - self.cpu
        self.counters.wall_seconds += wall - self.wall
        self.cpu, self.wall = cpu, wall

    def since_save(self) -> float:
        return time.monotonic() - self.saved
