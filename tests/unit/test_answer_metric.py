"""What weights are chosen by is what the report measures."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from pipestill.io.files import write_sha256sums
from pipestill.models.hardware import HardwarePlan
from pipestill.settings.jobs import TrainingSettings
from pipestill.settings.models import HardwareConfig
from pipestill.settings.training import TrainingConfig
from pipestill.tasks import TASKS
from pipestill.training.answer_metric import AnswerMetric, Question
from pipestill.training.job import Job
from support.asking import asking_about


@pytest.mark.parametrize("name", ["dolly", "multiclinsum"])
def test_the_metric_of_a_candidate_is_the_first_one_of_the_report(tmp_path, monkeypatch, name):
    answer, reference = "the patients were treating", "the patient was treated"  # equal stems, unequal words
    monkeypatch.setattr(
        "pipestill.answers.generated.predict.answer_prompts",
        lambda loaded, asking, decoding, prompts, work: {key: {"text": answer} for key in prompts},
    )
    candidate = tmp_path / "candidates" / "3"
    candidate.mkdir(parents=True)
    write_sha256sums(candidate)
    asking = asking_about(name, max_prompt_tokens=9, max_new_tokens=9)
    settings = TrainingSettings(method="sft", training=TrainingConfig(), hardware=HardwareConfig(), selection=asking)
    job = Job(settings, None, HardwarePlan("cpu"), 1, SimpleNamespace(directory=tmp_path), None)
    vars(job)["tokenizer"] = None
    trainer = SimpleNamespace(
        model=SimpleNamespace(eval=lambda: None), accelerator=SimpleNamespace(autocast=nullcontext)
    )
    candidates = SimpleNamespace(path=lambda step: candidate)
    metric = AnswerMetric(trainer, job, {"a": Question("?", reference)}, candidates)
    columns = TASKS[name].answers.measure.functions.score([answer], [[reference]], ["en"], "sentencex").columns
    assert metric(3) == pytest.approx(columns[metric.name][0])
    assert metric(3) == pytest.approx({"dolly": 75, "multiclinsum": 25}[name])
