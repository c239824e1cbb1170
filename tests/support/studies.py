"""Studies made in memory, from the scores of their examples."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from pipestill.evaluation.evaluate import summarise
from pipestill.evaluation.evaluation import Cost, Evaluation, JobCost, RunEntry
from pipestill.evaluation.metric import Metric
from pipestill.methods import method_of
from pipestill.reporting.study import Experiment, Study
from pipestill.settings.evaluation import StatisticsConfig


def study_of(primary="rouge_l", resamples=1000, **scores) -> Study:
    """A study of texts from ``[runs, examples]`` of scores by method."""
    experiments = []
    for method, values in scores.items():
        values = np.atleast_2d(values)
        runs = {
            seed: SimpleNamespace(
                metrics={primary: Metric.mean_of(row, highest=100.0)},
                draws=lambda name: [],
                correct=lambda: None,
            )
            for seed, row in enumerate(values)
        }
        details = {"unmarked": None, "repeating": 0}
        nothing = JobCost(wall_s=None, cpu_s=None, peak_memory_mb=None, gpu_memory_mb=None, tokens=None)
        bootstrap = StatisticsConfig(resamples=resamples)
        evaluation = Evaluation.model_construct(
            **dict(study="made", task="dolly", method=method, method_title=method_of(method).title, source="synthetic"),
            **dict(
                primary_metric=primary,
                n_train=None,
                n_test=values.shape[1],
                notes=[],
                agreement=None,
                signatures={},
                test_sets={},
            ),
            cost=Cost(
                **dict.fromkeys(
                    ("train", "teacher", "query", "annotation", "trainable_parameters", "total_parameters")
                ),
                predict=nothing,
                money_usd=0,
            ),
            bootstrap=bootstrap,
            metrics=summarise(list(runs.values()), bootstrap),
            runs=[
                RunEntry(seed=seed, n_test=values.shape[1], metrics={}, details=details, history=[]) for seed in runs
            ],
        )
        experiments.append(Experiment(Path(method), evaluation, runs))
    return Study("made", experiments)
