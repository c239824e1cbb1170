"""What a teacher answers to the prompts that students are trained on, and how likely it finds labels."""

from pathlib import Path

from pipestill.config import ScoringSettings
from pipestill.cost import CostMeter
from pipestill.files import write_json
from pipestill.imports import without
from pipestill.inference.generation import generate
from pipestill.inference.row_log import RowLog, state_of
from pipestill.inference.scoring import Scorer, fingerprint, load_run, prepare_hardware
from pipestill.lock import exclusive
from pipestill.models.libraries import unneeded_libraries
from pipestill.models.prompts import encode_prompt
from pipestill.progress import Progress
from pipestill.records import read_jsonl, write_jsonl
from pipestill.tasks import TASKS


def write_teacher_outputs(
    settings: ScoringSettings,
    prompts_file: Path,
    base: Path,
    model: Path,
    state: Path,
    output: Path,
    cost_file: Path,
    threads: int,
) -> None:
    """Write a row ``{"id", "output"}`` for each row of ``prompts_file`` (a study's ``sft.jsonl``).

    Outputs are generated greedily. Tasks that rank labels get ``label_scores`` too: mean log-probabilities per token,
    without calibration.
    """
    task = TASKS[settings.task]
    prompts = {row["id"]: row["input"] for row in read_jsonl(prompts_file)}
    plan = prepare_hardware(settings, threads)
    keys = list(prompts)
    with without(*unneeded_libraries(plan)), exclusive(state):
        kept = state_of(state, fingerprint(settings, plan, prompts_file, [base, model]))
        cost = CostMeter(kept / "cost.json")
        teacher, tokenizer = load_run(base, model, plan)

        scores = RowLog(kept / "scores.jsonl")
        if task.ranks_labels:
            scorer = Scorer(teacher, tokenizer, task.labels, settings.max_prompt_tokens)
            scorer.score(prompts, scores, cost, "teacher: ranking labels")

        texts = RowLog(kept / "texts.jsonl")
        encoded = [encode_prompt(tokenizer, prompts[key], settings.max_prompt_tokens) for key in keys]
        done = {index for index, key in enumerate(keys) if key in texts.rows}
        progress = Progress(len(keys), "prompts", "teacher: generating", done=len(done))
        for batch in generate(teacher, tokenizer, encoded, max_new_tokens=task.max_new_tokens, done=done):
            texts.append((keys[index], {"text": answer.text}) for index, answer in batch)
            cost.tokens += sum(len(encoded[index]) + answer.tokens for index, answer in batch)
            cost.save()
            progress.update(len(batch))

        rows = []
        for key in keys:
            row = {"id": key, "output": texts.rows[key]["text"]}
            if task.ranks_labels:
                row["label_scores"] = dict(zip(task.labels, scores.rows[key]["raw"], strict=True))
            rows.append(row)
        write_jsonl(output, rows)
        write_json(cost_file, cost.total())
