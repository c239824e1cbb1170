"""The predictions of one run in a task that generates text: answers that survive a kill, once per sampling seed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipestill.inference.generation import generate
from pipestill.io.records import Record, of_split, read_jsonl, write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.job.progress import Progress
from pipestill.job.row_log import RowLog
from pipestill.models.prompts import PromptEncoder
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.jobs import PredictionSettings


def sampling_seeds(generation: GenerationConfig) -> list[int | None]:
    """Seeds that every prompt is answered with; greedy answers have none."""
    return list(generation.sampling_seeds) if generation.sampling else [None]


def answer_prompts(
    model: Any,
    tokenizer: Any,
    asked: Mapping[str, str],
    generation: GenerationConfig,
    max_prompt_tokens: int,
    max_new_tokens: int,
    log: RowLog,
    cost: CostMeter,
    label: str,
    after_rationale: bool = False,
) -> None:
    """Answer prompts into ``log``, a row ``{"text"}`` by key; what it holds already is not asked again.

    Args:
        model: causal or encoder-decoder, in eval mode.
        tokenizer: of the model.
        asked: prompts by key; what is drawn for an answer depends on its key. Equal prompts side by side are read once.
        generation: how to answer.
        max_prompt_tokens: longer prompts lose the end of their text.
        max_new_tokens: where an answer without an end is cut.
        log: keeps the answers; a killed job goes on where it was.
        cost: what the job costs so far.
        label: what the progress line says.
        after_rationale: each answer comes after a rationale and a marker; the row has the ``rationale`` too, none where
            the marker is missing.
    """
    keys = list(asked)
    encoder = PromptEncoder(tokenizer, model.config.is_encoder_decoder)
    encoded = {text: encoder(text, max_prompt_tokens) for text in set(asked.values())}
    encoder.report(label)
    prompts = [encoded[asked[key]] for key in keys]
    done = {index for index, key in enumerate(keys) if key in log.rows}
    progress = Progress(len(keys), "answers", label, done=len(done))
    for batch in generate(
        model,
        tokenizer,
        prompts,
        max_new_tokens=max_new_tokens,
        decoding=generation,
        keys=keys,
        done=done,
        after_rationale=after_rationale,
    ):
        log.append(
            (keys[index], {"text": answer.text} | ({"rationale": answer.rationale} if after_rationale else {}))
            for index, answer in batch
        )
        cost.tokens += sum(len(prompts[index]) + answer.tokens for index, answer in batch)
        cost.save()
        progress.update(len(batch))


def answer_run(
    model: Any,
    tokenizer: Any,
    settings: PredictionSettings,
    records: list[Record],
    log: RowLog,
    cost: CostMeter,
    directory: Path,
    label: str,
) -> None:
    """Write ``predictions.jsonl`` of one run to ``directory``: a row per test record and sampling seed.

    Answers that come after a rationale have it beside them, none where no marker tells it from the answer.

    Args:
        model: in eval mode.
        tokenizer: of the model.
        settings: how to generate.
        records: records of the task; those of the test split are answered.
        log: keeps the answers; a killed job goes on where it was.
        cost: what the job costs so far.
        label: what the progress line says.
    """
    wanted, seeds = of_split(records, "test"), sampling_seeds(settings.generation)
    asked = {_key(record, seed): record["prompt"] for record in wanted for seed in seeds}  # equal ones side by side
    limits = settings.max_prompt_tokens, settings.max_new_tokens
    explained = settings.rationale_tokens > 0
    answer_prompts(model, tokenizer, asked, settings.generation, *limits, log, cost, label, explained)
    rows = (
        {
            "id": record["id"],
            "split": record["split"],
            "test_set": record["test_set"],
            "sampling_seed": seed,
            "prediction": log.rows[_key(record, seed)]["text"],
            "references": record["references"],
            **({"rationale": log.rows[_key(record, seed)]["rationale"]} if explained else {}),
        }
        for seed in seeds
        for record in wanted
    )
    write_jsonl(directory / "predictions.jsonl", rows)


def rationales(predictions: Path) -> dict[str, str]:
    """By id, the rationale before each answer of ``predictions.jsonl`` that has one; of several seeds, the first."""
    rows = reversed(read_jsonl(predictions))
    return {row["id"]: row["rationale"] for row in rows if row.get("rationale") is not None}


def _key(record: Record, seed: int | None) -> str:
    return record["id"] if seed is None else f"{seed}/{record['id']}"
