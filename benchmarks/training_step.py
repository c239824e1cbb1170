"""One epoch of fine-tuning on short answers: the Trainer's default steps against ours, side by side in one process.

The default: batches in random order, padded, logits of every position. Ours: batches of similar length, logits where an
answer is. Both run transformers' Trainer, on the same rows, in the same optimizer steps; losses must agree.

    python benchmarks/training_step.py [--rows 48] [--rounds 3]
"""

import argparse
import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("OMP_NUM_THREADS", "1")

VOCABULARIES = {"32k": 32_000, "152k": 151_936}
BATCH_SIZE = 8
REQUIRED = {"32k": 1.6, "152k": 3.0}


def make_model(vocabulary: int):
    """A random Qwen2 of 60 M parameters with a 32k vocabulary, of 183 M with 152k: 27 M, embeddings and head."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=512,
        intermediate_size=1792,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=2,
        tie_word_embeddings=False,
        use_cache=False,
    )
    return Qwen2ForCausalLM(config)


def make_rows(rows: int, vocabulary: int) -> list[dict[str, list[int]]]:
    """Prompts of 100 to 160 tokens, answers of 2."""
    import numpy as np

    draw = np.random.default_rng(0)
    made = []
    for _ in range(rows):
        prompt = draw.integers(10, vocabulary, draw.integers(100, 161)).tolist()
        answer = draw.integers(10, vocabulary, 2).tolist()
        made.append({"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer})
    return made


def trainers(model, rows, directory: Path, **options: object) -> dict:
    """Both ways; neither steps an optimizer that would cost the same for both.

    Args:
        model: that both train.
        rows: of the training.
        directory: for what a Trainer needs one.
        options: of the Trainer, where they differ from those of one thread.
    """
    from functools import partial
    from types import SimpleNamespace

    from transformers import Trainer, TrainingArguments

    from pipestill.models.rows import collate
    from pipestill.objectives.cross_entropy.train import CrossEntropyTrainer

    default = dict(per_device_train_batch_size=BATCH_SIZE, use_cpu=True, seed=0, report_to="none")
    default |= dict(remove_unused_columns=False, dataloader_pin_memory=False)
    arguments = TrainingArguments(output_dir=str(directory), **(default | options))
    common = dict(model=model, args=arguments, data_collator=partial(collate, pad_token_id=0), train_dataset=rows)
    cost = SimpleNamespace(tokens=0)
    return {
        "default": Trainer(**common),
        "ours": CrossEntropyTrainer(**common, eval_dataset=rows, state=None, cost=cost),
    }


def epoch(trainer) -> tuple[float, float]:
    """CPU seconds of forward and backward passes over all rows, and the mean loss of a token."""
    trainer.current_gradient_accumulation_steps = 1
    start, losses, items = time.process_time(), 0.0, 0
    for batch in trainer.get_train_dataloader():
        supervised = trainer._get_num_items_in_batch([batch], trainer.args.device)
        loss = trainer.training_step(trainer.model, batch, supervised)
        trainer.model.zero_grad()
        losses, items = losses + float(loss) * int(supervised), items + int(supervised)
    return time.process_time() - start, losses / items


def measure_memory(way: str, vocabulary: int) -> float:
    """Peak memory of two batches, beyond the model's weights, in MB (10^6 bytes)."""
    from machine import peak_beyond

    model = make_model(vocabulary)
    with TemporaryDirectory() as directory:
        trainer = trainers(model, make_rows(2 * BATCH_SIZE, vocabulary), Path(directory))[way]
        return peak_beyond(lambda: epoch(trainer))


def main() -> None:
    """Measure, print a table, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=48, help="training rows")
    parser.add_argument("--rounds", type=int, default=3, help="epochs of each way, taken in turn")
    parser.add_argument("--measure-memory", nargs=2, metavar=("WAY", "VOCABULARY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    import torch
    from machine import conclude, peak_alone

    torch.set_num_threads(1)
    if args.measure_memory:
        print(measure_memory(args.measure_memory[0], int(args.measure_memory[1])))
        return
    ratios, memory = {}, {}
    print(f"{'vocabulary':>10} {'parameters':>10} {'default':>16} {'ours':>16} {'ratio':>6}")
    for name, vocabulary in VOCABULARIES.items():
        model, rows = make_model(vocabulary), make_rows(args.rows, vocabulary)
        seconds: dict[str, list[float]] = {"default": [], "ours": []}
        with TemporaryDirectory() as directory:
            both = trainers(model, rows, Path(directory))
            losses = {}
            for _ in range(args.rounds):
                for way, trainer in both.items():
                    spent, losses[way] = epoch(trainer)
                    seconds[way].append(spent)
        assert abs(losses["default"] - losses["ours"]) < 1e-5 * losses["default"], losses
        ratios[name] = round(statistics.median(seconds["default"]) / statistics.median(seconds["ours"]), 2)
        parameters = sum(tensor.numel() for tensor in model.parameters())
        del model, both, trainer
        memory[name] = {way: round(peak_alone(__file__, way, str(vocabulary))) for way in seconds}
        print(
            f"{name:>10} {parameters / 1e6:>8.1f} M "
            + " ".join(f"{statistics.median(seconds[way]):6.1f} s {memory[name][way]:4} MB" for way in seconds)
            + f" {ratios[name]:>6}"
        )
    conclude("training_step", ratios, REQUIRED, memory_mb=memory)


if __name__ == "__main__":
    main()
