"""Stored distributions of an encoder-decoder against the teacher itself, beside the student or one row at a time."""

import pytest
import torch

from pipestill.inference.loaded import Loaded
from pipestill.models.kinds import Reading
from pipestill.models.loading import load_base_model, load_tokenizer
from pipestill.models.rows import RowEncoder, read_answers
from pipestill.objectives.divergence.teachers import CachedTeacher, OnlineTeacher
from pipestill.teacher.agreement import Agreement
from pipestill.teacher.distributions.store import DistributionStore
from support.distributions import capture, write_rows
from support.models import CPU, make_directory_of
from support.seq2seq import TEMPERATURE, trainer_for, whole

LENGTH = 200


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Directories of a teacher and a student."""
    root = tmp_path_factory.mktemp("models")
    return [make_directory_of("t5", root / name, seed) for name, seed in (("teacher", 1), ("student", 2))]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("data") / "sft.jsonl", 6, seed=4)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory, models, file):
    directory = tmp_path_factory.mktemp("distributions")
    return capture(directory, [file], *models, codec="full", k=None, temperature=TEMPERATURE, max_length=LENGTH)


@pytest.fixture(scope="module")
def rows(models, file):
    return read_answers(file, RowEncoder(load_tokenizer(models[1]), LENGTH, Reading("seq2seq", 0)))


def test_the_loss_through_the_cache_is_that_beside_the_teacher(tmp_path, models, file, manifest, rows):
    cached = CachedTeacher(DistributionStore(manifest), "bucket")
    teacher = load_base_model(models[0], CPU)
    found = []
    for name, source in (("cached", cached), ("online", OnlineTeacher(teacher, cached.vocabulary))):
        student = load_base_model(models[1], CPU, training=True)
        trainer = trainer_for(tmp_path / name, student, source.prepare(rows, file), source)
        evaluated = trainer.evaluate()
        trainer.train()
        found.append((evaluated, trainer.history()[-1]["loss"], student))
    (stored, loss, student), (expected, other, twin) = found
    assert {"eval_loss", "eval_kl", "eval_agreement"} <= expected.keys()
    assert stored == pytest.approx(expected, rel=1e-5)
    assert expected["eval_kl"] > 0.1  # the models differ
    assert loss == pytest.approx(other, rel=1e-5)
    for (key, tensor), same in zip(student.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(tensor, same, rtol=0, atol=2e-6, msg=key)


@torch.no_grad()
def test_agreement_equals_plain_forward_passes(models, file, manifest, rows):
    (teacher, student), tokenizer = (load_base_model(model, CPU) for model in models), load_tokenizer(models[1])
    found = Agreement(manifest, file)(Loaded(student, tokenizer, CPU))
    sums, tokens = dict.fromkeys(("kl", "agreement", "teacher_nll", "student_nll"), 0.0), 0
    for row in rows:
        (theirs, answer), (own, _) = whole(teacher, row), whole(student, row)
        log_p, log_q = ((logits.double() / TEMPERATURE).log_softmax(-1) for logits in (theirs, own))
        sums["kl"] += float((log_p.exp() * (log_p - log_q)).sum())
        sums["agreement"] += float((theirs.argmax(-1) == own.argmax(-1)).sum())
        for name, logits in (("teacher_nll", theirs), ("student_nll", own)):
            sums[name] += float(torch.nn.functional.cross_entropy(logits, answer, reduction="sum"))
        tokens += len(answer)
    assert found["tokens"] == tokens
    assert {name: found[name] for name in sums} == pytest.approx({k: v / tokens for k, v in sums.items()}, rel=1e-5)
