"""Rows a second and bytes a row of every stage that rows pass: records, crop, balance, predict, evaluate, report.

    python benchmarks/rows.py [--rows 1000000] [--fixed 100000] [--kinds labels text csv jsonl] [--keep DIRECTORY]

Kinds are CreditMix (``labels``), Dolly (``text``), and a file of labelled rows of one's own (``csv``, ``jsonl``), of
which records and crop differ from those of CreditMix. Half of the rows are test rows. Each stage is the script of its
rule in a process of its own, on what the one before wrote; ``predict`` is the prediction job of one run with a model
that answers at once. Bytes are the growth of the process's peak memory over that with ``--fixed`` rows, with which
parts that are held at a time have their full size, and seconds are processor time less its time then, per row: of the
file, of those that are predicted or evaluated, and for the report of the test rows of both of its experiments. With
fewer rows the bytes are mostly those of the parts.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("records", "crop", "balance", "predict", "evaluate", "report")
KINDS = ("labels", "text", "csv", "jsonl")
METHODS = ("base", "sft")  # of the report
WORDS = (
    *("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven"),
    *("islet", "jetty", "knoll", "larch", "maple", "north", "olive", "pearl"),
)
PROMPT_TOKENS = 98
SPLITS = {"test_frac": 0.5, "val_frac": 0.05}
LABELS = ["bad", "fair", "good"]
MEMORY_GOAL = 200  # bytes a row


class Tree:
    """The files of one kind with a number of rows.

    Args:
        kind: of :data:`KINDS`.
        rows: how many.
        root: the directory of all.
    """

    def __init__(self, kind: str, rows: int, root: Path):
        self.kind, self.rows, self.root = kind, rows, Path(root) / f"{kind}_{rows}"
        self.task = {"labels": "creditmix", "text": "dolly"}.get(kind, "own")
        self.raw, self.records, self.cropped = (
            self.root / name for name in ("raw", "records.jsonl", "own/cropped.jsonl")
        )
        self.cropped = self.root / self.task / "cropped.jsonl"

    @property
    def declared(self) -> list[str]:
        """Options that declare a task."""
        if self.task != "own":
            return []
        return [
            "--declared",
            json.dumps({"kind": "labels", "answers": {"labels": LABELS, "null_inputs": [""]}, "inputs": ["text"]}),
        ]

    def directory(self, method: str) -> Path:
        """Of an experiment."""
        return self.root / f"{self.task}_{method}"

    def command(self, stage: str) -> list[list[str]]:
        """Command lines of a stage."""
        return [[sys.executable, *map(str, line)] for line in getattr(self, f"_{stage}")()]

    def _records(self) -> list[list]:
        if self.kind == "text":
            data = {"splits": {"val_rows": max(1, self.rows // 20)}, "columns": {}}
        else:
            data = {"splits": SPLITS, "columns": {}}
        files = ["--raw", self.raw, "--records", self.records, "--manifest", self.root / "manifest.json"]
        return [[_script("records"), "--task", self.task, *self.declared, "--data", json.dumps(data), *files]]

    def _crop(self) -> list[list]:
        asked = ["--data", "{}", "--prompt", self.prompt(), "--records", self.records, "--output", self.cropped]
        return [[_script("prompts"), "--task", self.task, *self.declared, *asked]]

    def _balance(self) -> list[list]:
        settings = {"task": self.task, "method": "sft", "seed": 1, "prompt": json.loads(self.prompt())}
        files = ["--train", self.root / "train.jsonl", "--validation", self.root / "validation.jsonl"]
        return [[_script("training_file"), "--settings", json.dumps(settings), "--records", self.cropped, *files]]

    def _predict(self) -> list[list]:
        return [[__file__, "--answer", self.kind, self.rows, self.root.parent, method] for method in METHODS]

    def _evaluate(self) -> list[list]:
        return [
            [
                *(_script("evaluate"), "--experiment", json.dumps(self.experiment(method))),
                *("--predictions", self.directory(method) / "predictions", "--base", self.root / "model"),
                *("--data", self.cropped, "--output", self.directory(method) / "eval.json"),
                *("--scores", self.directory(method) / "scores.jsonl"),
                *("--card", self.directory(method) / "README.md"),
            ]
            for method in METHODS
        ]

    def _report(self) -> list[list]:
        evaluations = [self.directory(method) / "eval.json" for method in METHODS]
        own = ["--config", self.root / "config.yaml", "--output-dir", self.root / "report"]
        return [[_script("report"), "--evals", *evaluations, "--records", self.cropped, *own]]

    def prompt(self) -> str:
        """JSON of the prompt."""
        return json.dumps(
            {
                "text": ["{instruction}\n{input}", "{instruction}"]
                if self.kind == "text"
                else "{features}"
                if self.kind == "labels"
                else "{text}"
            }
        )

    def experiment(self, method: str) -> dict:
        """What an experiment is, for its evaluation."""
        return {
            "experiment": f"{self.task}_{method}", "study": self.task, "task": self.task, "method": method,
            "method_title": method, "method_summary": "Rows.", "student": "s", "teacher": "t", "source": "synthetic",
            "notes": [], "statistics": {"resamples": 1000, "seed": 0}, "config_sha256": "c0ffee",
            "test_sets": ["dolly"] if self.kind == "text" else [],
        }  # fmt: skip

    def counted(self, stage: str) -> int:
        """Rows that a stage reads or answers."""
        if stage in ("records", "crop", "balance"):
            return self.rows
        tested = self.rows // 2
        if stage == "predict" and self.kind == "labels":
            return tested + self.rows // 20
        return len(METHODS) * tested if stage == "report" else tested


def _script(name: str) -> Path:
    return ROOT / "workflow_scripts" / f"{name}.py"


def make(tree: Tree) -> None:
    """Write the raw data, and what jobs read beside rows."""
    from random import Random

    rng = Random(f"rows {tree.kind}")
    tree.raw.mkdir(parents=True)
    (tree.root / "config.yaml").write_text("seeds: [1]\n")
    model = tree.root / "model"
    model.mkdir()
    (model / "profile.json").write_text('{"trainable_parameters": 0, "total_parameters": 1}')
    (model / "SHA256SUMS").write_text("0" * 64 + "  model.safetensors\n")
    origin = {"source": "synthetic", "origin": "rows"}
    if tree.kind == "text":
        half = tree.rows // 2
        _write(tree.raw / "dolly.jsonl", (_asked(rng, number) for number in range(half)))
        _write(tree.raw / "train.jsonl", (_asked(rng, number) for number in range(half, tree.rows)))
        origin |= {"files": {"dolly": {}, "train": {}}}
    elif tree.kind == "labels":
        _write(tree.raw / "data.json", _applicants(tree.rows), listed=True)
    elif tree.kind == "jsonl":
        _write(tree.raw / "data", (_review(rng, number) for number in range(tree.rows)))
    else:
        with open(tree.raw / "data", "w") as file:
            file.write("text,target\n")
            file.writelines('"{text}",{target}\n'.format(**_review(rng, number)) for number in range(tree.rows))
    (tree.raw / "manifest.json").write_text(json.dumps(origin))


def _write(path: Path, rows: Iterator[dict], listed: bool = False) -> None:
    with open(path, "w") as file:
        file.write("[\n" if listed else "")
        for number, row in enumerate(rows):
            file.write((",\n" if number else "") + json.dumps(row) if listed else json.dumps(row) + "\n")
        file.write("\n]\n" if listed else "")


def _applicants(rows: int) -> Iterator[dict]:
    from random import Random

    from pipestill.tasks.creditmix.synthetic import draw_applicant, draw_label

    rng = Random("applicants")
    for _ in range(rows):
        applicant = draw_applicant(rng)
        yield {"question": applicant.text(), "answer": draw_label(applicant, rng)}


def _asked(rng, number: int) -> dict:
    """A row of the text task, about 200 characters."""
    text = " ".join(rng.choices(WORDS, k=24))
    answer = " ".join(rng.choices(WORDS, k=8))
    return {"instruction": f"Question {number}: what comes next?", "input": text, "output": answer}


def _review(rng, number: int) -> dict:
    return {"text": f"No. {number}: {' '.join(rng.choices(WORDS, k=25))}", "target": rng.choice(LABELS)}


def answer(tree: Tree, method: str) -> None:
    """Predict with a model that answers at once."""
    import numpy as np

    from pipestill.inference import answers, experiment
    from pipestill.inference.generation import Answer
    from pipestill.settings.jobs import PredictionSettings
    from pipestill.text.context import NO_CONTEXT

    rng, labels = np.random.default_rng(len(method)), 3

    def rank(loaded, encoded, label_ids, done=frozenset()):
        waiting = [place for place in range(len(encoded)) if place not in done]
        for start in range(0, len(waiting), 256):
            indices = waiting[start : start + 256]
            shape = (len(indices), labels)
            yield (
                indices,
                SimpleNamespace(
                    mean_log_prob=-rng.random(shape),
                    label_mass=rng.random(len(indices)),
                    greedy=rng.random(shape) < 0.3,
                    shared=10,
                ),
            )

    def generate(model, tokenizer, prompts, *, done=frozenset(), **how):
        waiting = [place for place in range(len(prompts)) if place not in done]
        for start in range(0, len(waiting), 256):
            said = [" ".join(WORDS[i] for i in rng.integers(0, len(WORDS), 8)) for _ in waiting[start : start + 256]]
            yield [(place, Answer(text, 8, None, True)) for place, text in zip(waiting[start:], said, strict=False)]

    class Encoder:
        def __call__(self, text: str, limit: int) -> list[int]:
            return list(range(1000, 1000 + PROMPT_TOKENS))

        def report(self, label: str) -> None:
            pass

    loaded = SimpleNamespace(
        model=SimpleNamespace(can_generate=lambda: False, config=None),
        tokenizer=None,
        encoder=lambda prompt: Encoder(),
        context=NO_CONTEXT,
        writer=None,
    )
    engine = SimpleNamespace(
        opened=lambda *_: nullcontext(loaded), planned=lambda plan: plan, weighed=lambda *_: loaded, versions=dict
    )
    experiment.engine_of = lambda _: engine
    plan = SimpleNamespace(device="cpu", precision="fp32", quantization=None, to_json=lambda: {"device": "cpu"})
    experiment.prepare = lambda *_: plan
    answers.generate = generate
    if tree.kind == "labels":
        from pipestill.answers.labels import predict

        predict.rank, predict._words = rank, lambda *_: {}
    asking = {"task": tree.task, "prompt": json.loads(tree.prompt()), "max_prompt_tokens": 512, "max_new_tokens": 16}
    settings = {"asking": asking, "adaptation": "full", "hardware": {}, "code": "rows", "data": {}}
    experiment.predict_experiment(
        PredictionSettings.model_validate(settings),
        experiment.Runs(tree.root / "model", {1: None}),
        tree.cropped,
        tree.root / f"state_{method}",
        tree.directory(method) / "predictions",
        1,
    )


def run(command: list[str]) -> tuple[float, float]:
    """Processor seconds and peak memory in bytes of a process.

    Raises:
        SystemExit: it fails; says what it said.
    """
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)[:300]} failed:\n{said[-3000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def measure(kind: str, rows: int, root: Path, stages: list[str]) -> dict[str, tuple[float, float, int]]:
    """Seconds, peak and rows of each stage."""
    tree, found = Tree(kind, rows, root), {}
    if not tree.root.exists():
        run([sys.executable, __file__, "--make", kind, str(rows), str(root)])
    for stage in STAGES if kind in ("labels", "text") else STAGES[:2]:
        if stage in stages:
            for command in tree.command(stage):
                seconds, peak = run(command)
            found[stage] = seconds, peak, tree.counted(stage)
    return found


def main() -> None:
    """Measure, print a table, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000], help="numbers of rows")
    parser.add_argument("--fixed", type=int, default=100_000, help="rows beyond which memory is counted")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="of rows")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES, help="to run, behind earlier ones")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="where files are made and stay")
    parser.add_argument("--make", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--answer", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        return make(Tree(args.make[0], int(args.make[1]), Path(args.make[2])))
    if args.answer:
        kind, rows, root, method = args.answer
        return answer(Tree(kind, int(rows), Path(root)), method)
    from machine import processor

    ratios: dict[str, float] = {}
    print(f"{'kind':<8}{'stage':<10}{'rows':>10}{'CPU s':>9}{'rows/s':>10}{'peak MB':>9}{'bytes/row':>11}")
    with TemporaryDirectory() as temporary:
        root = args.keep or Path(temporary)
        for kind in args.kinds:
            few = measure(kind, args.fixed, root, args.stages)
            for rows in args.rows:
                for stage, (seconds, peak, count) in measure(kind, rows, root, args.stages).items():
                    start, least, fewest = few[stage]
                    rate = (count - fewest) / max(1e-3, seconds - start)
                    size = (peak - least) / (count - fewest)
                    line = f"{kind:<8}{stage:<10}{rows:>10}{seconds:>9.1f}{rate:>10,.0f}{peak / 1e6:>9.0f}"
                    print(f"{line}{size:>11,.0f}", flush=True)
                    ratios[f"{kind}_{stage}_{rows}"] = round(size)
    print(json.dumps({"benchmark": "rows", "bytes_a_row": ratios, "machine": {"processor": processor()}}))
    if above := [name for name, size in ratios.items() if size > MEMORY_GOAL]:
        raise SystemExit(f"more than {MEMORY_GOAL} bytes a row: {', '.join(above)}")


if __name__ == "__main__":
    main()
