"""The predictions of one run in a task that generates text: answers that survive a kill, once per sampling seed."""

from pathlib import Path
from typing import Any

from pipestill.config import GenerationConfig, PredictionSettings
from pipestill.cost import CostMeter
from pipestill.inference.generation import generate
from pipestill.inference.row_log import RowLog
from pipestill.models.prompts import encode_prompt
from pipestill.progress import Progress
from pipestill.records import Record, of_split, write_jsonl
from pipestill.tasks import TASKS


def sampling_seeds(generation: GenerationConfig) -> list[int | None]:
    """Seeds that every prompt is answered with; greedy answers have none."""
    return list(generation.sampling_seeds) if generation.sampling else [None]


def max_new_tokens(settings: PredictionSettings) -> int:
    """Where an answer without an end is cut."""
    return settings.generation.max_new_tokens or TASKS[settings.task].max_new_tokens


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
    asked = [(record, seed) for record in wanted for seed in seeds]  # equal prompts side by side are read once
    encoded = {
        record["id"]: encode_prompt(tokenizer, record["prompt"], settings.max_prompt_tokens) for record in wanted
    }
    prompts, keys = [encoded[record["id"]] for record, _ in asked], [_key(record, seed) for record, seed in asked]
    done = {index for index, key in enumerate(keys) if key in log.rows}
    progress = Progress(len(keys), "answers", label, done=len(done))
    for batch in generate(
        model,
        tokenizer,
        prompts,
        max_new_tokens=max_new_tokens(settings),
        decoding=settings.generation,
        keys=keys,
        done=done,
    ):
        log.append((keys[index], {"text": answer.text}) for index, answer in batch)
        cost.tokens += sum(len(prompts[index]) + answer.tokens for index, answer in batch)
        cost.save()
        progress.update(len(batch))
    rows = (
        {
            "id": record["id"],
            "split": record["split"],
            "test_set": record["test_set"],
            "sampling_seed": seed,
            "prediction": log.rows[_key(record, seed)]["text"],
            "references": record["references"],
        }
        for seed in seeds
        for record in wanted
    )
    write_jsonl(directory / "predictions.jsonl", rows)


def _key(record: Record, seed: int | None) -> str:
    return record["id"] if seed is None else f"{seed}/{record['id']}"
