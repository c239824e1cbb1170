"""What a teacher answers to the prompts that students are trained on, and how likely it finds each label."""

from pathlib import Path

from pipestill.config import PredictionSettings
from pipestill.cost import CostMeter
from pipestill.files import write_json
from pipestill.inference.experiment import fingerprint, load_run, prepare_hardware
from pipestill.inference.generation import generate
from pipestill.inference.predict import Scorer
from pipestill.inference.row_log import RowLog
from pipestill.models.prompts import encode_prompt
from pipestill.progress import Progress
from pipestill.records import read_jsonl, write_jsonl
from pipestill.tasks import TASKS


def write_teacher_outputs(
    settings: PredictionSettings,
    prompts_file: Path,
    base: Path,
    model: Path,
    state: Path,
    output: Path,
    cost_file: Path,
    threads: int,
) -> None:
    """Write a row ``{"id", "output", "label_scores"}`` for each row of ``prompts_file`` (a study's ``sft.jsonl``).

    Outputs are generated greedily; ``label_scores`` are mean log-probabilities per token, without calibration.
    """
    task = TASKS[settings.task]
    prompts = {row["id"]: row["input"] for row in read_jsonl(prompts_file)}
    plan = prepare_hardware(settings, threads)
    cost = CostMeter(state / "cost.json")
    work = fingerprint(settings, plan, prompts_file, [base, model])
    teacher, tokenizer = load_run(base, model, plan)

    scores = RowLog(state / "scores.jsonl", work)
    scorer = Scorer(teacher, tokenizer, task.labels, settings.max_prompt_tokens)
    cost.tokens += scorer.score(prompts, scores, "teacher: ranking labels")

    texts = RowLog(state / "texts.jsonl", work)
    keys = list(prompts)
    encoded = [encode_prompt(tokenizer, prompts[key], settings.max_prompt_tokens) for key in keys]
    done = {index for index, key in enumerate(keys) if key in texts.rows}
    progress = Progress(len(keys), "prompts", "teacher: generating", done=len(done))
    for batch in generate(teacher, tokenizer, encoded, max_new_tokens=task.max_new_tokens, done=done):
        texts.append((keys[index], {"text": text}) for index, text in batch)
        cost.tokens += sum(len(encoded[index]) for index, _ in batch)
        progress.update(len(batch))

    write_jsonl(
        output,
        (
            {
                "id": key,
                "output": texts.rows[key]["text"],
                "label_scores": dict(zip(task.labels, scores.rows[key]["raw"], strict=True)),
            }
            for key in keys
        ),
    )
    write_json(cost_file, cost.total())
