"""What a training job depends on."""

from dataclasses import replace

import pytest
import torch

from pipestill.errors import UserError
from pipestill.models.hardware import HardwarePlan
from pipestill.settings.models import HardwareConfig
from pipestill.settings.train import TrainingSettings
from pipestill.settings.training import TrainingConfig
from pipestill.training.answer_metric import check_selection, selection_prompts
from pipestill.training.inputs import MODELS, Inputs
from pipestill.training.run import _enough_memory, fingerprint

NAMES = ("data", "validation", "distributions", *MODELS)


def job(**training):
    return TrainingSettings(
        objective="divergence", divergence="fkl", training=TrainingConfig(**training), hardware=HardwareConfig()
    )


@pytest.fixture
def inputs(tmp_path):
    """Files, and directories that consist of their checksums."""
    for name in NAMES:
        path = tmp_path / name / "SHA256SUMS" if name in MODELS else tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    return Inputs(**{name: tmp_path / name for name in NAMES})


@pytest.mark.parametrize("name", NAMES)
def test_another_content_of_any_input_is_another_job(inputs, name):
    plan = HardwarePlan("cpu")
    before = fingerprint(job(), plan, inputs, 1)
    path = getattr(inputs, name)
    path = path / "SHA256SUMS" if name in MODELS else path
    path.write_text("another")
    after = fingerprint(job(), plan, inputs, 1)
    assert [key for key in before["files"] if before["files"][key] != after["files"][key]] == [name]
    path.unlink()
    with pytest.raises(UserError, match=f"{name}.* does not exist: make it first"):
        fingerprint(job(), plan, inputs, 1)
    if name not in ("data", "validation", "base"):
        assert name not in fingerprint(job(), plan, replace(inputs, **{name: None}), 1)["files"]


def test_a_metric_chooses_among_generated_answers_alone():
    check_selection(job(select="metric").model_copy(update={"task": "dolly"}))
    check_selection(job(select="loss"))
    for task in ("creditmix", None):
        with pytest.raises(UserError, match="is for tasks whose answers are generated: use `loss`"):
            check_selection(job(select="metric").model_copy(update={"task": task}))


@pytest.mark.parametrize("objective", ["divergence", "cross_entropy"])
def test_an_accelerator_that_is_too_small_is_a_sentence(objective):
    settings = job().model_copy(update={"objective": objective})
    sentence = r"not fit in the accelerator's memory .* lower training.batch_size"
    with pytest.raises(UserError, match=sentence) as error, _enough_memory(settings):
        raise torch.OutOfMemoryError("CUDA out of memory")
    assert ("its teacher" in str(error.value) and "`cached`" in str(error.value)) == (objective == "divergence")


@pytest.mark.parametrize(
    ("limit", "taken"), [(None, range(7)), (7, range(7)), (99, range(7)), (3, (0, 2, 4)), (1, (0,))]
)
def test_prompts_to_select_by_are_spread_over_the_file(tmp_path, limit, taken):
    path = tmp_path / "validation.jsonl"
    path.write_text("".join(f'{{"id": "{n}", "input": "in {n}", "teacher_output": "out {n}"}}\n' for n in range(7)))
    assert selection_prompts(path, limit) == [
        {"id": str(n), "input": f"in {n}", "references": [f"out {n}"]} for n in taken
    ]
