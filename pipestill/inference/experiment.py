"""The prediction job of an experiment: all of its runs in one process, since starting one costs seconds."""

import gc
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from pipestill.inference.contexts import CONTEXT, draw_context, training_records
from pipestill.inference.engines import Models, Place
from pipestill.inference.loaded import Loaded, prepare
from pipestill.inference.work import Work, fingerprint
from pipestill.io.files import SHA256SUMS, fresh_directory, sha256, write_json
from pipestill.io.lock import exclusive
from pipestill.io.records import Json, RecordFile
from pipestill.job.cost import CostMeter
from pipestill.job.engines import engine_of
from pipestill.job.halves import half
from pipestill.job.row_log import state_of
from pipestill.job.versions import versions
from pipestill.settings.jobs import PredictionJob, PredictionSettings
from pipestill.tasks import task_of


@dataclass(frozen=True)
class Runs:
    """The models of an experiment.

    Attributes:
        base: directory of the base model.
        models: model directory by seed; none stands for the untrained base model.
        demonstrations: training rows that demonstrations are drawn from, where models read some.
    """

    base: Path
    models: dict[int, Path | None]
    demonstrations: Path | None = None

    def describe(self, settings: PredictionSettings, output: Path) -> PredictionJob:
        """The content of ``job.json`` in the directory ``output``."""
        options = task_of(settings.asking).layout.Options.model_validate(settings.data)
        tokenizer = options.tokenizer and self.base.parent / options.tokenizer / "tokenizer.json"
        return PredictionJob(
            settings=settings,
            base=os.path.relpath(self.base, output),
            runs={seed: model and os.path.relpath(model, output) for seed, model in self.models.items()},
            crop_tokenizer=tokenizer and os.path.relpath(tokenizer, output),
            weights={seed: sha256((model or self.base) / SHA256SUMS) for seed, model in self.models.items()},
        )


def predict_experiment(
    settings: PredictionSettings,
    runs: Runs,
    records_file: Path,
    state: Path,
    output: Path,
    threads: int,
    measure: Callable[[Loaded], Json | None] | None = None,
    devices: int = 1,
) -> None:
    """Predict with every run of an experiment.

    Args:
        settings: how the models are asked.
        runs: the models.
        records_file: cropped records.
        state: directory that keeps finished scores and answers from one attempt to the next.
        output: directory to write: ``seed_<n>/``, with what the task's kind of answers writes; ``job.json``,
            ``hardware.json``, ``versions.json``, ``cost.json``.
        threads: torch threads.
        measure: maps a run's model to what becomes ``seed_<n>/agreement.json``, or to none.
        devices: that an engine may divide a model among.
    """
    records, task, engine = RecordFile(records_file), task_of(settings.asking), engine_of(settings.engine)
    plan = engine.planned(prepare(settings, threads))
    pool = training_records(records, runs.demonstrations) if runs.demonstrations else []
    drawn_from = {"demonstrations": sha256(runs.demonstrations)} if runs.demonstrations else {}
    digests = {
        seed: fingerprint(settings, plan, records_file, [runs.base, *([model] if model else [])]) | drawn_from
        for seed, model in runs.models.items()
    }
    answers = half(task.answers, "predict")
    tokens = None if settings.context else settings.asking.max_prompt_tokens + settings.asking.max_new_tokens
    with (
        exclusive(state),
        fresh_directory(output) as directory,
        CostMeter(state_of(state / "cost", digests) / "cost.json") as cost,
    ):
        for number, (seed, model) in enumerate(runs.models.items(), 1):
            results, label = directory / f"seed_{seed}", f"run {number}/{len(runs.models)} (seed {seed})"
            asked = Models(runs.base, model)
            with engine.opened(asked, plan, Place(state / "engine", devices, tokens)) as loaded:
                if settings.context:
                    drawn = draw_context(settings.context, task, settings.asking, loaded, records, pool, seed)
                    loaded = replace(loaded, context=drawn.context)
                    write_json(results / CONTEXT, drawn.row())
                work = Work(state_of(state / f"seed_{seed}", digests[seed]), cost, label)
                answers.predict(task, loaded, settings.asking, records, work, results)
            weighed = cache(partial(engine.weighed, asked, plan, loaded))
            if task.answers.probed:
                answers.probe(weighed, settings.asking, records, label, results)
            if measure and (measured := measure(weighed())):
                write_json(results / "agreement.json", measured)
            del loaded, weighed
            gc.collect()  # a model refers to itself; free its memory before the next is loaded
        write_json(directory / "job.json", runs.describe(settings, output).model_dump())
        write_json(directory / "hardware.json", plan.to_json())
        write_json(directory / "versions.json", versions() | engine.versions())
        write_json(directory / "cost.json", cost.total())
