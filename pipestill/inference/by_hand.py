"""Predictions by hand: one input, asked as the records of a task are."""

from typing import Any

import numpy as np

from pipestill.data.crop import crop_question
from pipestill.errors import UserError
from pipestill.imports import without
from pipestill.inference.answers import encode_for, sampling_seeds
from pipestill.inference.calibration import calibrate, mean_score
from pipestill.inference.generation import generate
from pipestill.inference.ranking import score_all_labels
from pipestill.inference.scoring import load_run, prepare_hardware
from pipestill.inference.target import Target
from pipestill.models.libraries import unneeded_libraries
from pipestill.models.prompts import encode_label, encode_prompt
from pipestill.tasks import TASKS, Task


def predict_text(target: Target, text: str, instruction: str, threads: int) -> dict[str, Any]:
    """Rank the labels for one input, or answer it.

    Args:
        target: the model.
        text: the input.
        instruction: what is asked about it, for a task whose rows say so themselves.
        threads: torch threads.

    Returns:
        ``model_name``, ``seed``, ``prediction``, ``cropped``; of ranked labels the other fields of the published
        service's response too, of text the ``sampling_seed`` that it was drawn with, if it was, and the
        ``rationale`` that was written before it, if the model writes some.

    Raises:
        UserError: there is nothing to ask, or the task has an instruction of its own.
    """
    task, settings = TASKS[target.settings.task], target.settings
    text, instruction = text.strip(), instruction.strip()
    if instruction and task.ranks_labels:
        raise UserError(f"task `{task.name}` has an instruction of its own: leave --instruction out")
    if not (text or instruction):
        raise UserError("the input text is empty")
    asked = crop_question(text, instruction, settings.max_chars)
    plan = prepare_hardware(settings, threads)
    with without(*unneeded_libraries(plan)):
        model, tokenizer = load_run(target.base, target.model, plan)
    predict = _rank if task.ranks_labels else _answer
    return {
        "model_name": target.name,
        "seed": target.seed,
        **predict(target, task, model, tokenizer, task.message(**asked, template=settings.template)),
        "cropped": asked["text"] != text or asked.get("instruction", "") != instruction,
    }


def _answer(target: Target, task: Task, model: Any, tokenizer: Any, prompt: str) -> dict[str, Any]:
    settings, seed = target.settings, sampling_seeds(target.settings.generation)[0]
    [[(_, answer)]] = generate(
        model,
        tokenizer,
        [encode_for(model, tokenizer, prompt, settings.max_prompt_tokens)],
        max_new_tokens=settings.max_new_tokens,
        decoding=settings.generation,
        keys=[f"{seed}/{prompt}"],
        after_rationale=settings.rationale_tokens > 0,
    )
    rationale = {"rationale": answer.rationale} if settings.rationale_tokens else {}
    return {"prediction": answer.text, **rationale, "sampling_seed": seed}


def _rank(target: Target, task: Task, model: Any, tokenizer: Any, prompt: str) -> dict[str, Any]:
    def score(prompts: list[str]) -> np.ndarray:
        encoded = [encode_prompt(tokenizer, text, target.settings.max_prompt_tokens) for text in prompts]
        return score_all_labels(model, encoded, [encode_label(tokenizer, label) for label in task.labels]).mean_log_prob

    nulls = {"multi_null": [task.prompt(null) for null in task.null_inputs], "pmi": [task.premise]}
    prior = np.zeros(len(task.labels))
    if target.prior is not None:
        prior = np.array([target.prior[label] for label in task.labels])
    elif target.calibration != "none":
        prior = mean_score(score(nulls[target.calibration]))
    raw = score([prompt])
    result = calibrate(raw, prior)

    def by_label(values: np.ndarray) -> dict[str, float]:
        return dict(zip(task.labels, map(float, values), strict=True))

    return {
        "prediction": task.labels[result.predictions[0]],
        "scores": by_label(result.scores[0]),
        "raw_scores": by_label(raw[0]),
        "prior": by_label(prior),
        "probabilities": by_label(result.probabilities[0]),
        "top2_margin": float(result.margins[0]),
        "calibration": target.calibration,
    }
