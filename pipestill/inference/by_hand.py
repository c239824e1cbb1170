"""Predictions by hand: one input, asked as the records of a task are."""

from typing import Any

import numpy as np

from pipestill.data.crop import crop_question
from pipestill.data.crop_documents import crop_documents
from pipestill.data.text_crop import character_ends, token_ends
from pipestill.errors import UserError
from pipestill.inference.answers import sampling_seeds
from pipestill.inference.calibration import calibrate, mean_score
from pipestill.inference.generation import generate
from pipestill.inference.ranking import score_all_labels
from pipestill.inference.scoring import load_run, prepare_hardware
from pipestill.inference.target import Target
from pipestill.models.prompts import PromptEncoder, encode_label
from pipestill.tasks import TASKS, Task


def predict_text(
    target: Target, text: str, instruction: str, threads: int, language: str | None = None
) -> dict[str, Any]:
    """Rank the labels for one input, or answer it.

    Args:
        target: the model.
        text: the input.
        instruction: what is asked about it, for a task whose rows say so themselves.
        threads: torch threads.
        language: of a document; the first of its task's when none.

    Returns:
        ``model_name``, ``seed``, ``prediction``, ``cropped``; of ranked labels the other fields of the published
        service's response too, of text the ``sampling_seed`` that it was drawn with, if it was, and the
        ``rationale`` that was written before it, if the model writes some.

    Raises:
        UserError: there is nothing to ask, or the task has an instruction of its own or other languages.
    """
    task, settings = TASKS[target.settings.task], target.settings
    prompt, cropped = ask(target, text.strip(), instruction.strip(), language)
    plan = prepare_hardware(settings, threads)
    model, tokenizer = load_run(target.base, target.model, plan)
    prompts = PromptEncoder(tokenizer, model.config.is_encoder_decoder)
    predict = _rank if task.ranks_labels else _answer
    return {
        "model_name": target.name,
        "seed": target.seed,
        **predict(target, model, prompts, prompt),
        "cropped": cropped or prompts.cut > 0,
    }


def ask(target: Target, text: str, instruction: str = "", language: str | None = None) -> tuple[str, bool]:
    """The prompt that the pipeline makes of an input, and whether it lost its end there; see :func:`predict_text`."""
    task, settings = TASKS[target.settings.task], target.settings
    if instruction and (task.ranks_labels or settings.crop):
        raise UserError(f"task `{task.name}` has an instruction of its own: leave --instruction out")
    if language is not None and not settings.crop:
        raise UserError(f"task `{task.name}` does not ask for a language: leave --language out")
    if not (text or instruction):
        raise UserError("the input text is empty")
    if settings.crop:
        return _ask_document(target, task, text, language or task.test_sets[0])
    asked = crop_question(text, instruction, settings.max_chars)
    cropped = asked["text"] != text or asked.get("instruction", "") != instruction
    return task.message(**asked, template=settings.template), cropped


def _ask_document(target: Target, task: Task, text: str, language: str) -> tuple[str, bool]:
    if language not in task.test_sets:
        raise UserError(f"task `{task.name}` has no language `{language}`; it has {', '.join(task.test_sets)}")
    ends = token_ends(target.crop_tokenizer) if target.crop_tokenizer else character_ends
    record = {"id": "by hand", "split": "test", "text": text, "test_set": language}
    [record], cropped = crop_documents([record], task, target.settings.crop, ends, target.settings.splitter)
    return record["prompt"], cropped["text"] > 0


def _answer(target: Target, model: Any, prompts: PromptEncoder, prompt: str) -> dict[str, Any]:
    settings, seed = target.settings, sampling_seeds(target.settings.generation)[0]
    [[(_, answer)]] = generate(
        model,
        prompts.tokenizer,
        [prompts(prompt, settings.max_prompt_tokens)],
        max_new_tokens=settings.max_new_tokens,
        decoding=settings.generation,
        keys=[f"{seed}/{prompt}"],
        after_rationale=settings.rationale_tokens > 0,
    )
    rationale = {"rationale": answer.rationale} if settings.rationale_tokens else {}
    return {"prediction": answer.text, **rationale, "sampling_seed": seed}


def _rank(target: Target, model: Any, prompts: PromptEncoder, prompt: str) -> dict[str, Any]:
    task = TASKS[target.settings.task]
    labels = [encode_label(prompts.tokenizer, label) for label in task.labels]

    def score(texts: list[str]) -> np.ndarray:
        encoded = [prompts(text, target.settings.max_prompt_tokens) for text in texts]
        return score_all_labels(model, encoded, labels).mean_log_prob

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
