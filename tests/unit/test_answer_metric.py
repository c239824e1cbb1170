"""What weights are chosen by is what the report measures."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from pipestill.evaluation.texts import SCORERS
from pipestill.io.files import write_sha256sums
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.models import HardwareConfig
from pipestill.settings.train import TrainingSettings
from pipestill.settings.training import TrainingConfig
from pipestill.tasks import TASKS
from pipestill.training.answer_metric import AnswerMetric


@pytest.mark.parametrize("name", ["dolly", "multiclinsum"])
def test_the_metric_of_a_candidate_is_the_primary_one_of_the_report(tmp_path, monkeypatch, name):
    answer, references = "the patients were treating", ["the patient was treated"]  # equal stems, unequal words
    monkeypatch.setattr(
        "pipestill.inference.answers.answer_prompts",
        lambda model, tokenizer, asked, generation, prompt, new, log, *_: log.append(
            (key, {"text": answer}) for key in asked
        ),
    )
    candidate = tmp_path / "candidates" / "3"
    candidate.mkdir(parents=True)
    write_sha256sums(candidate)
    job = SimpleNamespace(
        model=SimpleNamespace(eval=lambda: None),
        accelerator=SimpleNamespace(autocast=nullcontext),
        job_state=SimpleNamespace(directory=tmp_path),
        cost=None,
    )
    settings = TrainingSettings(
        **dict(objective="cross_entropy", training=TrainingConfig(), hardware=HardwareConfig()),
        **dict(task=name, generation=GenerationConfig()),
    )
    row = {"id": "a", "input": "?", "references": references}
    metric = AnswerMetric(job, None, [row], settings, SimpleNamespace(path=lambda step: candidate))
    scores, _ = SCORERS[TASKS[name].metrics](
        [{"prediction": answer, "references": references, "test_set": "en"}], "sentencex"
    )
    assert metric(3) == pytest.approx(scores[metric.name][0])
    assert metric(3) == pytest.approx({"dolly": 75, "multiclinsum": 25}[name])
