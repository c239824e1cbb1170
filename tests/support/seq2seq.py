"""One step of training an encoder-decoder, and whole logits to compare it with."""

import torch

from pipestill.models.hardware import HardwarePlan
from pipestill.objectives.divergence.train import TaughtData
from support.models import make_tokenizer
from support.training_job import make_job, make_trainer

TOKENIZER = make_tokenizer()
SGD = HardwarePlan("cpu", optimizer="sgd")
KD_RATE, TEMPERATURE = 0.4, 2.0


def whole(model, row):
    """Logits [answer, vocab] of one row as transformers computes them from labels, and the answer's tokens."""
    answer = torch.tensor(row["labels"][1:])
    return model(input_ids=torch.tensor([row["input_ids"]]), labels=answer[None]).logits[0], answer


def trainer_for(tmp_path, model, rows, teacher=None):
    method, options, data = "sft", {}, {}
    if teacher:
        method, options = "fkl", {"kd_rate": KD_RATE, "temperature": TEMPERATURE, "t_squared": False, "chunk": 5}
        data = {"data": TaughtData, "teacher": teacher}
    size = {"learning_rate": 0.05, "max_steps": 1, "batch_size": len(rows)}
    return make_trainer(make_job(tmp_path, method, TOKENIZER, options, SGD, **size), model, rows, **data)
