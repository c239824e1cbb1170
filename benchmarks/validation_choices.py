"""Settings of a study's training by what they reach on validation rows; no test row is read.

Trains a method again with each of the given settings, from the files of a finished run, and ranks the labels of the
validation rows without calibration. ``rows`` among the settings takes fewer of the training rows, equally many of each
label. ``accuracy``, ``macro_f1`` and ``nll`` (nats) are those of the labels, ``loss`` is
what the method trains on; all are means over the seeds, at the end of training.

    python benchmarks/validation_choices.py mnli sft --set learning_rate=5e-4 --set learning_rate=1e-3,rows=600,epochs=6
"""

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import yaml

from pipestill.answers.labels.calibration import validation_metrics
from pipestill.inference.loaded import load, prepare
from pipestill.inference.rankers import rank_all
from pipestill.io.records import of_split, read_jsonl, read_records, write_jsonl
from pipestill.methods import TEACHER_NAME
from pipestill.models.prompts import word_ids
from pipestill.plan.check import check
from pipestill.plan.plan import Plan
from pipestill.settings.jobs import ModelSettings, TrainingSettings
from pipestill.training.files import Inputs, Outputs
from pipestill.training.run import train

ROOT = Path(__file__).resolve().parents[1]


class Trials:
    """Trainings of one method of a study from the files of a run in ``results``; ``base`` exchanges its base model."""

    def __init__(self, results: Path, study: str, method: str, base: Path | None):
        self.results, self.study, self.method = results, study, method
        self.config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
        self.base = base
        task = self.config["studies"][study]["task"]
        records = read_records(results / "data" / task / "cropped.jsonl")
        self.labels = {record.id: record.target for record in records}
        self.rows = of_split(records, "validation")

    def __call__(self, changes: dict[str, Any], seed: int) -> dict[str, float]:
        """Train with ``changes`` of the method's settings; returns the metrics and the wall time in seconds."""
        changes = dict(changes)
        rows = changes.pop("rows", None)
        study = self.config["studies"][self.study]
        overrides = study.get("overrides", {})
        changed = {**study, "overrides": {**overrides, self.method: {**overrides.get(self.method, {}), **changes}}}
        config = check({**self.config, "studies": {**self.config["studies"], self.study: changed}})
        plan = Plan(config, ROOT)
        settings = TrainingSettings.model_validate_json(plan.training_settings(self.study, self.method))
        inputs = self._inputs(plan, seed)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory)
            if rows is not None:
                inputs = replace(inputs, data=self._fewer(inputs.data, rows, path))
            outputs = Outputs(path / "state", path / "model", path / "cost.json", path / "memory.jsonl")
            start = time.perf_counter()
            with contextlib.redirect_stderr(io.StringIO()):
                train(settings, inputs, outputs, seed, 1)
            seconds = time.perf_counter() - start
            losses = [row["eval_loss"] for row in read_jsonl(outputs.model / "history.jsonl") if "eval_loss" in row]
            metrics = self._metrics(plan, settings, inputs.base, outputs.model)
        return {**metrics, "loss": losses[-1], "seconds": seconds}

    def _inputs(self, plan: Plan, seed: int) -> Inputs:
        w = SimpleNamespace(study=self.study, method=self.method, seed=str(seed))
        if self.method == TEACHER_NAME:
            data = [f"<results>/data/{self.study}/{part}teacher.jsonl" for part in ("", "validation/")]
            files = [*data, plan.teacher_base(w)]
        else:
            files = [plan.training_data(w), plan.validation_data(w), plan.base_directory(w)]
        data, validation, base = map(self._path, files)
        stored = plan.read_manifest(w) if self.method != TEACHER_NAME else []
        return Inputs(data, validation, self.base or base, distributions=self._path(stored) if stored else None)

    def _fewer(self, data: Path, rows: int, directory: Path) -> Path:
        """A file of ``rows`` rows of ``data``, which are in random order: equally many of each label."""
        kept, limit = Counter(), rows // len(set(self.labels.values()))
        found = []
        for row in read_jsonl(data):
            label = self.labels[row["id"]]
            kept[label] += 1
            if kept[label] <= limit:
                found.append(row)
        write_jsonl(directory / "rows.jsonl", found)
        return directory / "rows.jsonl"

    def _path(self, file: str) -> Path:
        return self.results / file.removeprefix("<results>/")

    def _metrics(self, plan: Plan, settings: TrainingSettings, base: Path, model: Path) -> dict[str, float]:
        prompt, labels = settings.prompt, list(plan.task(self.study).answers.labels)
        asked = ModelSettings(adaptation=settings.training.adaptation, hardware=settings.hardware)
        loaded = load(base, model, prepare(asked, 1))
        encode = loaded.encoder(prompt)
        questions = [prompt.fill(row.inputs) for row in self.rows]
        answers = [prompt.answer(label) for label in labels]
        words = dict(zip(labels, word_ids(loaded.tokenizer, prompt.form, answers, questions[0]), strict=True))
        prompts = [encode(question, settings.training.max_length) for question in questions]
        raw = rank_all(loaded, prompts, words).mean_log_prob
        return validation_metrics(raw, [labels.index(row.target) for row in self.rows], np.zeros(len(labels)))


def changes(given: str) -> dict[str, Any]:
    """``key=value,key=value`` as a mapping; values are YAML."""
    return {key: yaml.safe_load(value) for key, value in (pair.split("=") for pair in given.split(",") if pair)}


def main() -> None:
    """Train and print a line for each of the settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("method", help="a method of the study, or `teacher`")
    parser.add_argument("--set", type=changes, action="append", required=True, help="settings, such as epochs=3")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    parser.add_argument("--base", type=Path, help="directory of another base model")
    args = parser.parse_args()
    trials = Trials(args.results, args.study, args.method, args.base)
    for changed in args.set:
        runs = [trials(changed, seed) for seed in args.seeds]
        means = {name: round(statistics.mean(run[name] for run in runs), 4) for name in runs[0]}
        spread = [round(run["accuracy"], 3) for run in runs]
        print(json.dumps({"method": args.method, **changed, **means, "accuracies": spread}), flush=True)


if __name__ == "__main__":
    main()
