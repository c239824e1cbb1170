"""The recipes of the project's own models: shape, length of the run and learning rates."""

from dataclasses import dataclass
from typing import ClassVar

from pipestill.settings.models import ModelKind


@dataclass(frozen=True)
class Shape:
    """A Qwen2 architecture with tied embeddings."""

    kind: ClassVar[ModelKind] = "causal"
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    intermediate: int


@dataclass(frozen=True)
class T5Shape:
    """A T5 architecture with gated feed-forward layers: as many layers in the decoder as in the encoder."""

    kind: ClassVar[ModelKind] = "seq2seq"
    layers: int
    hidden: int
    heads: int
    intermediate: int


@dataclass(frozen=True)
class BertShape:
    """A BERT architecture."""

    kind: ClassVar[ModelKind] = "masked"
    layers: int
    hidden: int
    heads: int
    intermediate: int


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run learns; its fingerprint names the state that may be resumed."""

    shape: Shape | T5Shape | BertShape  # decides the kind of model
    steps: int
    lr: float
    embedding_lr: float  # of AdamW, which moves the embeddings and the vectors
    strings_from: int  # step from which random strings are mixed into the corpus
    seed: int = 1
    rows: int = 16
    length: int = 256
    warmup: int = 30
    cooldown: float = 0.35  # last share of the steps: linear down to ``floor``
    floor: float = 0.02
    weight_decay: float = 0.01
    clip: float = 1.0
    copy_lr: float = 1.5e-3
    copy_rows: int = 16
    copy_length: int = 256
    copy_steps: int = 300  # at most
    copy_accuracy: float = 0.9  # the curriculum ends when ten steps in a row reach this

    @property
    def corpus_seed(self) -> str:
        """Seed of the documents."""
        return f"pretrain {self.seed}"

    def schedule(self, step: int) -> float:
        """Share of the learning rates that one corpus step (from 0) uses."""
        start = self.steps * (1 - self.cooldown)
        warm = min(1.0, (step + 1) / self.warmup)
        cool = 1.0 if step < start else 1 - (1 - self.floor) * (step - start) / (self.steps - start)
        return warm * cool


# Causal, mean loss of steps 140 to 200 of the student on one seed: AdamW only, 3e-3: 1.55; Muon 3e-3 with AdamW
# 6e-3: 1.08, Muon 6e-3 with AdamW 3e-3: 1.27. A step with Muon costs 6 % more.
# T5, mean loss of steps 41 to 60 of the student: Muon 3e-3 with AdamW 6e-3: 3.71; 3e-3 with 2e-2: 3.08; 6e-3 with 2e-2:
# 2.80. Those of BERT are not tuned.
RECIPES = {
    "demo-student": Recipe(
        Shape(layers=4, hidden=128, heads=4, kv_heads=2, intermediate=384),
        steps=2200,
        lr=3e-3,
        embedding_lr=6e-3,
        strings_from=840,
    ),
    "demo-teacher": Recipe(
        Shape(layers=6, hidden=192, heads=6, kv_heads=3, intermediate=512),
        steps=3000,
        lr=2e-3,
        embedding_lr=4e-3,
        strings_from=220,
    ),
    "demo-t5-student": Recipe(
        T5Shape(layers=3, hidden=128, heads=4, intermediate=256),
        steps=1200,
        lr=6e-3,
        embedding_lr=2e-2,
        strings_from=0,
    ),
    "demo-t5-teacher": Recipe(
        T5Shape(layers=4, hidden=160, heads=5, intermediate=448),
        steps=1800,
        lr=5e-3,
        embedding_lr=2e-2,
        strings_from=0,
    ),
    "demo-bert-student": Recipe(
        BertShape(layers=4, hidden=128, heads=4, intermediate=384),
        steps=1000,
        lr=3e-3,
        embedding_lr=6e-3,
        strings_from=0,
        copy_lr=1e-3,
        copy_steps=250,
    ),
    "demo-bert-teacher": Recipe(
        BertShape(layers=6, hidden=192, heads=6, intermediate=640),
        steps=1000,
        lr=2e-3,
        embedding_lr=4e-3,
        strings_from=0,
        copy_lr=1e-3,
        copy_steps=250,
    ),
}
