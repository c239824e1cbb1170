"""One step of training an encoder-decoder, and whole logits to compare it with."""

from types import SimpleNamespace

import torch

from pipestill.models.hardware import HardwarePlan
from pipestill.settings.models import HardwareConfig
from pipestill.settings.train import TrainingSettings
from pipestill.settings.training import DivergenceConfig, TrainingConfig
from pipestill.training.state import TrainingState
from pipestill.training.trainers import make_trainer
from support.models import make_tokenizer

TOKENIZER = make_tokenizer()
SGD = HardwarePlan("cpu", optimizer="sgd")
KD_RATE, TEMPERATURE = 0.4, 2.0


def whole(model, row):
    """Logits [answer, vocab] of one row as transformers computes them from labels, and the answer's tokens."""
    answer = torch.tensor(row["labels"][1:])
    return model(input_ids=torch.tensor([row["input_ids"]]), labels=answer[None]).logits[0], answer


def trainer_for(tmp_path, model, rows, teacher=None):
    training = TrainingConfig(
        **dict(learning_rate=0.05, schedule="constant", warmup=0, max_grad_norm=1e9, adaptation="full", max_steps=1),
        batch_size=len(rows),
        divergence=DivergenceConfig(kd_rate=KD_RATE, temperature=TEMPERATURE, t_squared=False, chunk=5),
    )
    job = {"objective": "divergence", "divergence": "fkl"} if teacher else {"objective": "cross_entropy"}
    settings = TrainingSettings(**job, training=training, hardware=HardwareConfig())
    cost = SimpleNamespace(tokens=0, save=lambda: None)
    state = TrainingState(tmp_path / "state", {})
    return make_trainer(settings, SGD, 5, model, TOKENIZER, rows, rows, state, cost, teacher)
