"""Rows a second and bytes a row of every stage that rows pass: records, crop, balance, predict, evaluate, report.

    python benchmarks/rows.py [--rows 1000000] [--fixed 100000] [--kinds labels text csv jsonl] [--stages records ...]
                              [--keep DIRECTORY]

Kinds are CreditMix (``labels``), Dolly (``text``), and a file of labelled rows of one's own (``csv``, ``jsonl``), of
which records and crop differ from those of CreditMix. Half of the rows are test rows. Each stage is the script of its
rule in a process of its own, on what the one before wrote; ``predict`` is the prediction job of one run with a model
that answers at once.

Rows are those of the file, those that are predicted or evaluated, and for the report the test rows of both of its
experiments. Their time is processor time less that of a hundredth of ``--fixed`` rows, which is the start of a process.
Their bytes are the growth of its peak memory from ``--fixed`` rows on, with which parts that are held at a time have
their full size; with fewer rows they are mostly those of the parts.

With ``--keep`` files stay, and what was measured with them, which is not measured again: the same command continues
what was stopped. After a change of the code take another directory.

The table is Markdown. Its last column says where a goal is missed, and then the script fails: 200 bytes a row, and no
more than 1.2 times the time a row that ``--fixed`` rows take.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
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
TIME_GOAL = 1.2  # times what a row takes of few
COLUMNS = ("kind", "stage", "rows", "µs a row", "rows a second", "bytes a row", "peak, MB", "missed")


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
        self.raw, self.records, self.measured = (self.root / name for name in ("raw", "records.jsonl", "measured.json"))
        self.cropped = self.root / self.task / "cropped.jsonl"

    @property
    def stages(self) -> tuple[str, ...]:
        """Those that differ from the stages of another kind."""
        return STAGES if self.kind in ("labels", "text") else STAGES[:2]

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
    with TemporaryDirectory(dir=tree.root, prefix="state_") as state:
        experiment.predict_experiment(
            PredictionSettings.model_validate(settings),
            experiment.Runs(tree.root / "model", {1: None}),
            tree.cropped,
            Path(state),
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


@dataclass(frozen=True)
class Cost:
    """What a stage takes.

    Attributes:
        seconds: of processors.
        peak: of memory, in bytes.
        rows: that it reads or answers.
    """

    seconds: float
    peak: int
    rows: int


@dataclass(frozen=True)
class Line:
    """What a row takes in a stage.

    Attributes:
        rows: of the raw file.
        us: microseconds of processors.
        size: bytes of memory; none where memory is counted from.
        peak: of memory, in bytes.
        missed: goals, in words.
    """

    kind: str
    stage: str
    rows: int
    us: float
    size: float | None
    peak: int
    missed: tuple[str, ...]

    def cells(self) -> list[str]:
        """A row of the table."""
        size = "" if self.size is None else f"{self.size:,.0f}"
        numbers = [f"{self.rows:,}", f"{self.us:.1f}", f"{1e6 / self.us:,.0f}", size, f"{self.peak / 1e6:,.0f}"]
        return [self.kind, self.stage, *numbers, "; ".join(self.missed)]


def measure(tree: Tree, stages: Sequence[str]) -> dict[str, Cost]:
    """What each stage takes: as it was measured with the same files, and those of ``stages`` that were not."""
    if not tree.measured.exists():
        rmtree(tree.root, ignore_errors=True)
        run([sys.executable, __file__, "--make", tree.kind, str(tree.rows), str(tree.root.parent)])
        tree.measured.write_text("{}")
    found = json.loads(tree.measured.read_text())
    for stage in tree.stages:
        if stage in stages and stage not in found:
            for command in tree.command(stage):
                seconds, peak = run(command)
            found[stage] = seconds, peak, tree.counted(stage)
            tree.measured.write_text(json.dumps(found))
    return {stage: Cost(*found[stage]) for stage in tree.stages if stage in found}


def lines(kind: str, costs: Mapping[int, Mapping[str, Cost]]) -> Iterator[Line]:
    """What a row takes in each stage of a kind, and whether goals are met.

    Args:
        kind: of :data:`KINDS`.
        costs: of stages by the number of rows: the start, those that memory is counted from, and more.
    """
    start, fixed, *more = costs
    for stage in STAGES:
        if stage not in costs[start] or stage not in costs[fixed]:
            continue
        least, few = costs[start][stage], costs[fixed][stage]
        of_few = _us(few, least)
        yield Line(kind, stage, fixed, of_few, None, few.peak, ())
        for rows in more:
            if many := costs[rows].get(stage):
                us, size = _us(many, least), (many.peak - few.peak) / (many.rows - few.rows)
                missed = [f"more than {MEMORY_GOAL} bytes"] if size > MEMORY_GOAL else []
                missed += [f"{us / of_few:.2f} times the time"] if us > TIME_GOAL * of_few else []
                yield Line(kind, stage, rows, us, size, many.peak, tuple(missed))


def _us(many: Cost, few: Cost) -> float:
    return 1e6 * max(1e-3, many.seconds - few.seconds) / (many.rows - few.rows)


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

    found: list[Line] = []
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
    with TemporaryDirectory() as temporary:
        for kind in args.kinds:
            trees = [Tree(kind, rows, args.keep or temporary) for rows in (args.fixed // 100, args.fixed, *args.rows)]
            for line in lines(kind, {tree.rows: measure(tree, args.stages) for tree in trees}):
                print(f"| {' | '.join(line.cells())} |", flush=True)
                found.append(line)
    print(json.dumps({"benchmark": "rows", "rows": [*map(vars, found)], "machine": {"processor": processor()}}))
    if missed := [f"{each.kind} {each.stage} {each.rows}: {', '.join(each.missed)}" for each in found if each.missed]:
        raise SystemExit(f"goals missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
