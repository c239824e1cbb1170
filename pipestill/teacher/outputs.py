"""What a teacher answers to the prompts that students are trained on, and how likely it finds labels."""

from pathlib import Path

from pipestill.inference.answers import answer_prompts
from pipestill.inference.scoring import Scorer, fingerprint, load_run, prepare_hardware
from pipestill.io.files import write_json
from pipestill.io.lock import exclusive
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.job.row_log import RowLog, state_of
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.jobs import ScoringSettings
from pipestill.tasks import TASKS


def write_teacher_outputs(
    settings: ScoringSettings,
    prompts_file: Path,
    base: Path,
    model: Path | None,
    state: Path,
    output: Path,
    cost_file: Path,
    threads: int,
) -> None:
    """Write a row ``{"id", "output"}`` for each row of ``prompts_file`` (a study's ``sft.jsonl``).

    Outputs are generated greedily. Tasks that rank labels get ``label_scores`` too: mean log-probabilities per token,
    without calibration.

    Args:
        settings: the task, lengths, hardware.
        prompts_file: the file.
        base: directory of the teacher's base model.
        model: directory of the fine-tuned teacher; none: the base model is taken as it is.
        state: directory that keeps what is finished from one attempt to the next.
        output: JSON Lines file to write.
        cost_file: JSON file for the cost of all attempts.
        threads: torch threads.
    """
    task = TASKS[settings.task]
    prompts = {row["id"]: row["input"] for row in read_jsonl(prompts_file)}
    plan = prepare_hardware(settings, threads)
    with exclusive(state):
        kept = state_of(state, fingerprint(settings, plan, prompts_file, [base, *([model] if model else [])]))
        cost = CostMeter(kept / "cost.json")
        teacher, tokenizer = load_run(base, model, plan)

        scores = RowLog(kept / "scores.jsonl")
        if task.ranks_labels:
            scorer = Scorer(teacher, tokenizer, task.labels, settings.max_prompt_tokens)
            scorer.score(prompts, scores, cost, "teacher: ranking labels")

        texts = RowLog(kept / "texts.jsonl")
        limits = settings.max_prompt_tokens, settings.max_new_tokens
        answer_prompts(teacher, tokenizer, prompts, GenerationConfig(), *limits, texts, cost, "teacher: generating")

        rows = []
        for key in prompts:
            row = {"id": key, "output": texts.rows[key]["text"]}
            if task.ranks_labels:
                row["label_scores"] = dict(zip(task.labels, scores.rows[key]["raw"], strict=True))
            rows.append(row)
        write_jsonl(output, rows)
        write_json(cost_file, cost.total())
