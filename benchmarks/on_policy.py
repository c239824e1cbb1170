"""Steps on the student's own answers: TRL's experimental GKD trainer against ours, side by side in one process.

Both draw an answer to every prompt at temperature 1, let the teacher score it, and learn by the same Jensen-Shannon
divergence (beta 0.5); their losses on the same answers must agree. A step is drawing, forward and backward pass; the
optimizer, which is the same, is left out. Every 32nd id of the vocabulary is an end, and answers are cut at 64 tokens:
those of a random student have 28 on average.

    python benchmarks/on_policy.py [--rows 24] [--rounds 3]
"""

import argparse
import contextlib
import os
import statistics
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

VOCABULARIES = {"32k": 32_000, "152k": 151_936}
WAYS = ("trl", "ours")
BATCH_SIZE, LIMIT, ENDING, BETA, PAD = 4, 64, 32, 0.5, 0
REQUIRED = {"32k": 2.0, "152k": 2.0}
MODELS = Path(__file__).parents[1] / "resources" / "models"


def make_model(vocabulary: int, width: int, layers: int):
    """A random Qwen2 that ends its answers now and then."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(width)
    shape = dict(hidden_size=width, intermediate_size=3 * width, num_hidden_layers=layers)
    heads = dict(num_attention_heads=8, num_key_value_heads=2, tie_word_embeddings=True)
    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=vocabulary, **shape, **heads))
    model.generation_config.eos_token_id = list(range(1, vocabulary, ENDING))
    return model


def make_rows(rows: int, vocabulary: int) -> list[dict[str, list[int]]]:
    """Prompts of 20 to 160 tokens; gold answers, which no step learns from, of 2."""
    import numpy as np

    draw = np.random.default_rng(0)
    made = []
    for _ in range(rows):
        prompt, answer = (draw.integers(10, vocabulary, size).tolist() for size in (draw.integers(20, 161), 2))
        made.append({"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer})
    return made


def with_prompts(rows: list[dict[str, list[int]]]) -> dict[str, Any]:
    """A batch as TRL's trainer reads it: with the prompts alone, padded on the left."""
    import torch

    from pipestill.models.rows import collate, prompt_of

    prompts = [prompt_of(row) for row in rows]
    longest = max(map(len, prompts))
    padded = torch.tensor([[PAD] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return collate(rows, PAD) | {"prompts": padded, "prompt_attention_mask": mask}


def trainers(vocabulary: int, rows: int, directory: Path) -> dict[str, Any]:
    """Both ways, with equal students and one teacher."""
    teacher, made = make_model(vocabulary, 384, 6), make_rows(rows, vocabulary)
    students = (make_model(vocabulary, 256, 4) for _ in WAYS)  # TRL's trainer changes what its model's forward does
    makers = (trl_trainer, own_trainer)
    return {
        way: make(student, teacher, made, directory) for way, make, student in zip(WAYS, makers, students, strict=True)
    }


def trl_trainer(student, teacher, rows: list[dict[str, list[int]]], directory: Path):
    """TRL's trainer, on own answers in every step."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    config = GKDConfig(
        output_dir=str(directory),
        per_device_train_batch_size=BATCH_SIZE,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        seed=0,
        report_to="none",
        lmbda=1.0,
        beta=BETA,
        temperature=1.0,
        max_new_tokens=LIMIT,
    )
    tokenizer = AutoTokenizer.from_pretrained(MODELS / "demo-student")
    tokenizer.pad_token_id = PAD
    return GKDTrainer(
        model=student,
        teacher_model=teacher,
        args=config,
        data_collator=with_prompts,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )


def own_trainer(student, teacher, rows: list[dict[str, list[int]]], directory: Path):
    """Ours, on own answers in every step."""
    from transformers import TrainingArguments

    from pipestill.methods import METHODS
    from pipestill.models.rows import collate
    from pipestill.objectives.divergence.on_policy import PLACE, OnPolicyTrainer
    from pipestill.objectives.divergence.teachers import OnlineTeacher
    from pipestill.settings.on_policy import OnPolicy

    objective = METHODS["gkd"].objective
    arguments = TrainingArguments(
        output_dir=str(directory),
        per_device_train_batch_size=BATCH_SIZE,
        use_cpu=True,
        seed=0,
        report_to="none",
        remove_unused_columns=False,
    )
    placed = [row | {PLACE: place} for place, row in enumerate(rows)]
    return OnPolicyTrainer(
        OnPolicy(share=1.0, sampling={"max_new_tokens": LIMIT}),
        10_000,
        objective=objective,
        options=objective.settings(kd_rate=1.0, beta=BETA),
        teacher=OnlineTeacher(teacher, student.config.vocab_size),
        model=student,
        args=arguments,
        data_collator=partial(collate, pad_token_id=PAD),
        train_dataset=placed,
        eval_dataset=placed[:1],
        state=None,
        cost=SimpleNamespace(tokens=0),
    )


def steps(trainer) -> Iterator[int]:
    """Take a step with each batch of an epoch; yields the tokens that were learnt."""
    batches = iter(trainer.get_train_dataloader())
    trainer.current_gradient_accumulation_steps = 1
    while True:
        made, items = trainer.get_batch_samples(batches, 1, trainer.args.device)
        if not made:
            return
        trainer.training_step(trainer.model, made[0], items)
        trainer.model.zero_grad()
        yield int((made[0]["labels"][:, 1:] != -100).sum())
        trainer.state.global_step += 1  # other answers are drawn


def epoch(trainer) -> tuple[float, int]:
    """CPU seconds of the steps of an epoch, and the tokens that were learnt."""
    start = time.process_time()
    tokens = sum(steps(trainer))
    return time.process_time() - start, tokens


def check_losses(both: dict[str, Any]) -> None:
    """Both losses on the same answers."""
    import torch

    ours, theirs = both["ours"], both["trl"]
    (batch,), items = ours.get_batch_samples(iter(ours.get_train_dataloader()), 1, ours.args.device)
    with torch.no_grad():
        found = [float(each.compute_loss(each.model, dict(batch), num_items_in_batch=items)) for each in (ours, theirs)]
    assert abs(found[0] - found[1]) < 1e-5 * found[1], found


def measure_memory(way: str, vocabulary: int) -> float:
    """Peak memory of two steps, beyond the models' weights, in MB (10^6 bytes)."""
    from machine import peak_beyond

    with TemporaryDirectory() as directory:
        trainer = trainers(vocabulary, 2 * BATCH_SIZE, Path(directory))[way]
        return peak_beyond(lambda: epoch(trainer))


def main() -> None:
    """Measure, print a table, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=24, help="training rows")
    parser.add_argument("--rounds", type=int, default=3, help="epochs of each way, taken in turn")
    parser.add_argument("--measure-memory", nargs=2, metavar=("WAY", "VOCABULARY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    import torch
    from machine import conclude, peak_alone

    torch.set_num_threads(1)
    if args.measure_memory:
        with contextlib.redirect_stdout(sys.stderr):
            measured = measure_memory(args.measure_memory[0], int(args.measure_memory[1]))
        print(measured)
        return
    ratios, memory = {}, {}
    print(f"{'vocabulary':>10} {'TRL':>22} {'ours':>22} {'ratio':>6} {'tokens, TRL':>12} {'ours':>6}")
    for name, vocabulary in VOCABULARIES.items():
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        learnt = dict.fromkeys(WAYS, 0)
        with TemporaryDirectory() as directory:
            both = trainers(vocabulary, args.rows, Path(directory))
            check_losses(both)
            for _ in range(args.rounds):
                for way, trainer in both.items():
                    spent, tokens = epoch(trainer)
                    seconds[way].append(spent / -(-args.rows // BATCH_SIZE))
                    learnt[way] += tokens
        medians = {way: statistics.median(seconds[way]) for way in WAYS}
        ratios[name] = round(medians["trl"] / medians["ours"], 2)
        del both, trainer
        memory[name] = {way: round(peak_alone(__file__, way, str(vocabulary))) for way in WAYS}
        cells = " ".join(f"{medians[way]:8.2f} s {memory[name][way]:8} MB" for way in WAYS)
        print(f"{name:>10} {cells} {ratios[name]:>6} {learnt['trl']:>12} {learnt['ours']:>6}")
    conclude("on_policy", ratios, REQUIRED, memory_mb=memory)


if __name__ == "__main__":
    main()
