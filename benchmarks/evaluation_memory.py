"""Peak memory of an evaluation during training, by its number of rows: the trainers that keep logits against ours.

Rows are prompts of 192 tokens with answers of 64 (and rationales of 64), the vocabulary has 32,000 tokens: logits of a
row are 33 MB in float32. The model is a small random Qwen2, for only its head matters here.

``step-by-step`` is a trainer as published systems for distilling step-by-step have it, reconstructed: prediction_step
runs answers and rationales, returns the logits of the answers at every position, and the Trainer concatenates them for
a metric (those that return both pay twice). ``metric`` is transformers' Trainer with any metric, ``loss`` without one.
``ours`` is the trainer of the method `stepwise`, which evaluates answers and rationales in one batch. Each point is a
process of its own; peaks are beyond model and rows. In all of them glibc's allocator returns large blocks to the
system, so that a peak is what is held and not how the heap was split, which differs from run to run.

    python benchmarks/evaluation_memory.py [--quick]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from functools import partial
from tempfile import TemporaryDirectory
from types import SimpleNamespace

os.environ.setdefault("OMP_NUM_THREADS", "1")

PROMPT, ANSWER, VOCABULARY = 192, 64, 32_000
BATCH_SIZE = 8
ALPHA = 0.8  # weight of the answers, as published
FEW, MANY = (16, 32, 64), (64, 128, 512)  # rows of an evaluation
ROWS = {"step-by-step": FEW, "metric": FEW, "loss": FEW, "ours": MANY}
MEMORY_MB = 8000  # in which the first must fit at its largest point
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
SLOPE_MB, SHARE = 0.05, 1 / 50  # what is promised: growth per row, peak against step-by-step at its largest point


def make_model():
    """A random Qwen2, whose head is the largest part."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        use_cache=False,
    )
    return Qwen2ForCausalLM(config)


def make_rows(rows: int, prompt: int = PROMPT, answer: int = ANSWER) -> list[dict[str, list[int]]]:
    """Random rows, with labels on the answers."""
    import numpy as np

    draw = np.random.default_rng(0)
    tokens = draw.integers(10, VOCABULARY, (rows, prompt + answer)).tolist()
    return [{"input_ids": row, "labels": [-100] * prompt + row[prompt:]} for row in tokens]


def step_by_step_trainer(**arguments):
    """A Trainer that keeps logits as published trainers for distilling step-by-step do."""
    from transformers import Trainer

    class StepByStep(Trainer):
        def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
            loss, logits, labels = super().prediction_step(model, inputs["answer"], False, ignore_keys)
            rationale_loss, *_ = super().prediction_step(model, inputs["rationale"], False, ignore_keys)
            return ALPHA * loss + (1 - ALPHA) * rationale_loss, logits, labels

    single = arguments.pop("data_collator")
    # The rationales are the rows themselves: as long as the answers, with the same loss.
    return StepByStep(
        **arguments,
        data_collator=lambda rows: {"answer": single(rows), "rationale": single(rows)},
        compute_metrics=_metric,
    )


def _metric(prediction) -> dict[str, float]:
    assert prediction.predictions.shape[1:] == (PROMPT + ANSWER, VOCABULARY)
    return {}


def make_trainer(way: str, rows: list, directory: str):
    """A trainer that evaluates ``rows``."""
    from transformers import Trainer, TrainingArguments

    from pipestill.models.rows import collate, collate_explained
    from pipestill.objectives.stepwise import StepwiseOptions
    from pipestill.objectives.stepwise.train import StepwiseTrainer

    settings = TrainingArguments(
        output_dir=directory,
        per_device_train_batch_size=BATCH_SIZE,
        per_device_eval_batch_size=BATCH_SIZE,
        use_cpu=True,
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )
    pad = collate
    if way == "ours":
        pad, rows = collate_explained, [{**row, "rationale": row} for row in rows]
    makers = {
        "step-by-step": step_by_step_trainer,
        "metric": partial(Trainer, compute_metrics=_metric),
        "loss": Trainer,
        "ours": partial(
            StepwiseTrainer,
            StepwiseOptions(alpha=ALPHA),
            **dict(train_dataset=rows, state=None, cost=SimpleNamespace(tokens=0)),
        ),
    }
    collator = partial(pad, pad_token_id=0)
    return makers[way](model=make_model(), args=settings, data_collator=collator, eval_dataset=rows)


def measure(way: str, rows: int) -> dict[str, float]:
    """Peak memory, CPU seconds and loss of one evaluation in this process."""
    from pipestill.job.startup import hide_unused

    hide_unused()
    import torch
    from machine import peak_beyond

    torch.set_num_threads(1)
    with TemporaryDirectory() as directory:
        trainer = make_trainer(way, make_rows(rows), directory)
        trainer.model(input_ids=torch.zeros(1, 8, dtype=torch.long))  # libraries allocate their own first
        metrics, start = {}, time.process_time()
        peak = peak_beyond(lambda: metrics.update(trainer.evaluate()))
        return {"peak_mb": peak, "seconds": time.process_time() - start, "loss": metrics["eval_loss"]}


def point(way: str, rows: int) -> dict[str, float]:
    """:func:`measure` in a process of its own; its line of the table is printed."""
    command = [sys.executable, __file__, "--point", way, str(rows)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | ALLOCATOR).stdout
    measured = json.loads(output.splitlines()[-1])
    peak, seconds, loss = measured["peak_mb"], measured["seconds"], measured["loss"]
    print(f"{way:<14}{rows:>6}{peak:>10.0f}{seconds:>8.1f}{loss:>10.4f}", flush=True)
    return measured


def line(points: dict[int, float]) -> tuple[float, float]:
    """Slope and intercept of the least-squares line through peaks by rows."""
    import numpy as np

    slope, intercept = np.polyfit(list(points), list(points.values()), 1)
    return float(slope), float(intercept)


def main() -> None:
    """Measure, print a table, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of memory and rows; promises are not checked")
    parser.add_argument("--point", nargs=2, metavar=("WAY", "ROWS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        print(json.dumps(measure(args.point[0], int(args.point[1]))))
        return
    import torch
    from machine import processor

    shrink = 4 if args.quick else 1
    print(f"{'trainer':<14}{'rows':>6}{'peak MB':>10}{'CPU s':>8}{'loss':>10}")
    peaks: dict[str, dict[int, float]] = {}
    losses: dict[int, set[float]] = {}
    for way, counts in ROWS.items():
        for rows in (count // shrink for count in counts):
            measured = point(way, rows)
            peaks.setdefault(way, {})[rows] = measured["peak_mb"]
            losses.setdefault(rows, set()).add(measured["loss"])
    for rows, measured in losses.items():
        if max(measured) - min(measured) > 1e-5:
            raise SystemExit(f"losses of {rows} rows differ: {sorted(measured)}")
    slopes = {way: line(points)[0] for way, points in peaks.items()}
    slope, intercept = line(peaks["step-by-step"])
    largest = int((MEMORY_MB / shrink - intercept) / slope)
    largest_peaks = {way: point(way, largest)["peak_mb"] for way in ("step-by-step", "ours")}
    ratio = largest_peaks["step-by-step"] / largest_peaks["ours"]
    print(f"\n{'trainer':<14}{'MB per row':>11}")
    for way, slope in slopes.items():
        print(f"{way:<14}{slope:>11.3f}")
    print(f"\n{largest} rows of step-by-step fit in {MEMORY_MB // shrink} MB; its peak there is {ratio:.0f} times ours")
    machine = {"processor": processor(), "threads": 1, "torch": torch.__version__}
    memory = {way: {str(rows): round(peak) for rows, peak in points.items()} for way, points in peaks.items()}
    summary = {"ratios": {"step-by-step": round(ratio, 1)}, "memory_mb": memory}
    summary["mb_per_row"] = {way: round(slope, 3) for way, slope in slopes.items()}
    print(json.dumps({"benchmark": "evaluation_memory", **summary, "machine": machine}))
    if args.quick:
        return
    if slopes["ours"] > SLOPE_MB:
        raise SystemExit(f"memory grows by {slopes['ours']:.3f} MB per row; promised {SLOPE_MB}")
    if ratio * SHARE < 1:
        raise SystemExit(f"peak is 1/{ratio:.0f} of step-by-step's; promised 1/{1 / SHARE:.0f}")


if __name__ == "__main__":
    main()
