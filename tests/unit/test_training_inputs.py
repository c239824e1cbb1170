"""What a training job depends on."""

from dataclasses import replace

import pytest
import torch

from pipestill.errors import UserError
from pipestill.models.hardware import HardwarePlan
from pipestill.settings.jobs import TrainingSettings
from pipestill.settings.models import HardwareConfig
from pipestill.settings.training import TrainingConfig
from pipestill.training.answer_metric import Question, check_selection, selection_questions
from pipestill.training.files import MODELS, Inputs
from pipestill.training.job import Job, objective_of
from pipestill.training.run import _enough_memory, fingerprint
from support.asking import asking_about

NAMES = ("data", "validation", "distributions", *MODELS)


def job(method="fkl", selection=None, **training):
    training = TrainingConfig(**training)
    return TrainingSettings(method=method, training=training, hardware=HardwareConfig(), selection=selection)


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


def test_a_metric_chooses_only_among_generated_answers():
    def asking(task):
        return asking_about(task, max_prompt_tokens=9, max_new_tokens=9)

    check_selection(job(select="metric", selection=asking("dolly")))
    check_selection(job(select="loss"))
    for selection in (asking("creditmix"), None):
        with pytest.raises(UserError, match="is for tasks whose answers are generated: use `loss`"):
            check_selection(job(select="metric", selection=selection))


def test_a_method_that_does_not_train_is_refused():
    with pytest.raises(UserError, match="`base` does not train a model"):
        objective_of(job("base"))


@pytest.mark.parametrize("method", ["fkl", "sft"])
def test_an_accelerator_that_is_too_small_is_a_sentence(method):
    sentence = r"not fit in the accelerator's memory .* lower training.batch_size"
    small = Job(job(method), None, HardwarePlan("cpu"), 1, None, None)
    with pytest.raises(UserError, match=sentence) as error, _enough_memory(small):
        raise torch.OutOfMemoryError("CUDA out of memory")
    assert ("its teacher" in str(error.value) and "`cached`" in str(error.value)) == (method == "fkl")


@pytest.mark.parametrize(
    ("limit", "taken"), [(None, range(7)), (7, range(7)), (99, range(7)), (3, (0, 2, 4)), (1, (0,))]
)
def test_questions_to_select_by_are_spread_over_the_file(tmp_path, limit, taken):
    path = tmp_path / "validation.jsonl"
    path.write_text("".join(f'{{"id": "{n}", "input": "in {n}", "teacher_output": "out {n}"}}\n' for n in range(7)))
    questions = selection_questions(path, "teacher_output", limit)
    assert questions == {str(n): Question(f"in {n}", f"out {n}") for n in taken}
    assert list(questions) == [str(n) for n in taken]
