"""Trainers on a student's own answers, and the same answers drawn one by one, each token from all logits."""

import random

import torch

from pipestill.models.hardware import HardwarePlan
from pipestill.models.rows import IGNORED, RowEncoder
from pipestill.objectives.divergence.teachers import OnlineTeacher
from pipestill.objectives.divergence.train import TaughtData
from pipestill.training.callbacks import Schedule
from support.models import make_model, make_tokenizer
from support.training_job import make_job, make_trainer

SGD = HardwarePlan("cpu", optimizer="sgd")  # differences stay in proportion, which Adam's division would not keep
TOKENIZER = make_tokenizer()
VOCABULARY, PADDING, MAX_LENGTH, SEED = len(TOKENIZER), 24, 64, 5
ENDS = list(range(2, 40))  # a tenth of the vocabulary, so that answers end at different lengths
ANSWERS = ["Good", "Standard deviation of the debt", "Bad", "Good Good", "Bad Bad Bad", "Standard", "Bad 12 34 56"]


def make_rows():
    """Prompts and answers of unequal lengths."""
    encoder = RowEncoder(TOKENIZER, MAX_LENGTH)
    prompts = [f"Age: {20 + place}.0, Outstanding Debt: {'9' * place}" for place in range(len(ANSWERS))]
    return [encoder.answer(prompt, answer) for prompt, answer in zip(prompts, ANSWERS, strict=True)]


def make_student(**config):
    """A model that ends some of its answers; its head has rows beyond the tokenizer, which it finds likely."""
    model = make_model(VOCABULARY + PADDING, seed=3, **config)
    with torch.no_grad():
        model.get_output_embeddings().weight[VOCABULARY:] *= 5
    model.generation_config.eos_token_id = ENDS
    return model


def make_teacher():
    return make_model(VOCABULARY, seed=4, hidden_size=96)


def trainer_for(tmp_path, method, model, on_policy, rows=None, teacher=None, divergence=(), **training):
    """A trainer that learns from the rows, and from own answers as ``on_policy`` says."""
    options = {"kd_rate": 0.7, "chunk": 5, "on_policy": on_policy} | dict(divergence)
    settings = {"learning_rate": 0.05, "max_length": MAX_LENGTH, "saves": 4} | training
    job = make_job(tmp_path, method, TOKENIZER, options, SGD, **settings)
    rows, teacher = rows or make_rows(), OnlineTeacher(teacher or make_teacher(), VOCABULARY)
    trainer = make_trainer(job, model, rows, None, TaughtData, teacher=teacher)
    trainer.add_callback(Schedule(job.settings.training.evaluations, job.settings.training.saves, trainer.batches))
    return trainer


def logits_of(model, tokens):
    """All logits [tokens, vocab] behind the tokens of one sequence, those of padding left out."""
    return model(input_ids=torch.tensor([tokens])).logits[0, :, :VOCABULARY]


def draw_answer(model, prompt, key, room, temperature=1.0):
    """Tokens of an answer, until one is an end or there are ``room`` of them."""
    draw, answer = random.Random(key), []
    while len(answer) < room and not set(answer) & set(ENDS):
        with torch.no_grad():
            logits = logits_of(model, [*prompt, *answer])[-1].float() / temperature
        cumulative = logits.softmax(-1).double().cumsum(0)
        answer.append(int(torch.searchsorted(cumulative, draw.random() * cumulative[-1], right=True)))
    return answer


def parts_of(row):
    """Prompt and answer of a row."""
    start = sum(label == IGNORED for label in row["labels"])
    return row["input_ids"][:start], row["input_ids"][start:]
