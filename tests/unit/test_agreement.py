"""Agreement with the teacher against plain forward passes of both models, in float64."""

import pytest
import torch

from pipestill.errors import UserError
from pipestill.inference.loaded import load
from pipestill.models.rows import RowEncoder, read_answers
from pipestill.teacher.agreement import Agreement
from support.distributions import capture, write_rows
from support.models import CPU, make_directory

K = 12


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Directories of a teacher and a student."""
    root = tmp_path_factory.mktemp("agreement")
    return [make_directory(root / name, seed, initializer_range=0.2) for name, seed in (("teacher", 1), ("student", 2))]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("answers") / "sft.jsonl", 5, seed=4)


@torch.no_grad()
def log_probs(directory, answers, temperature):
    """What a model says where the tokens of answers are predicted, [tokens, vocab], and these tokens."""
    loaded = load(directory, None, CPU)
    model, tokenizer = loaded.model.double(), loaded.tokenizer
    parts, gold = [], []
    for row in read_answers(answers, RowEncoder(tokenizer, 200)):
        logits = model(torch.tensor([row["input_ids"]])).logits[0, :, : len(tokenizer)] / temperature
        places = [place for place, label in enumerate(row["labels"]) if label != -100]
        parts.append(logits.log_softmax(-1)[[place - 1 for place in places]])
        gold += [row["labels"][place] for place in places]
    return torch.cat(parts), torch.tensor(gold)


def expected(models, answers, temperature, k=None):
    (teacher, gold), (student, _) = (log_probs(model, answers, temperature) for model in models)
    found = {
        "agreement": (teacher.argmax(-1) == student.argmax(-1)).double().mean(),
        "teacher_nll": -log_probs(models[0], answers, 1.0)[0].gather(1, gold[:, None]).mean(),
        "student_nll": -log_probs(models[1], answers, 1.0)[0].gather(1, gold[:, None]).mean(),
    }
    if k:  # the others count as one
        ids = teacher.topk(k).indices
        teacher, student = (
            torch.cat([kept := each.gather(1, ids), (1 - kept.exp().sum(1, keepdim=True)).log()], dim=1)
            for each in (teacher, student)
        )
    found["kl"] = (teacher.exp() * (teacher - student)).sum(1).mean()
    return {name: float(value) for name, value in found.items()}, len(gold)


@pytest.mark.parametrize(("codec", "k", "tolerance"), [("full", None, 1e-5), ("topk", K, 2e-2)])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_equals_plain_forward_passes(tmp_path, models, answers, codec, k, tolerance, temperature):
    options = {"codec": codec, "k": k, "temperature": temperature}
    measure = Agreement(capture(tmp_path, [answers], *models, **options), answers)
    found = measure(load(models[1], None, CPU))
    values, tokens = expected(models, answers, temperature, k)
    assert found["kl"] == pytest.approx(values.pop("kl"), rel=tolerance)
    for name, value in values.items():
        assert found[name] == pytest.approx(value, abs=1e-5), name
    assert (found["tokens"], found["temperature"], found["codec"]) == (tokens, temperature, codec)
    assert found["tail"] == ("bucket" if codec == "topk" else None)

    own = measure(load(models[0], None, CPU))  # the teacher itself
    assert own["agreement"] == 1.0 and own["student_nll"] == pytest.approx(own["teacher_nll"], abs=1e-5)
    assert own["kl"] == pytest.approx(0.0, abs=1e-6 if codec == "full" else 1e-3)


def test_a_model_that_reads_other_tokens_is_not_measured(tmp_path, models, answers, capsys):
    measure = Agreement(capture(tmp_path, [answers], *models), answers)
    loaded = load(models[1], None, CPU)
    loaded.tokenizer.chat_template = loaded.tokenizer.chat_template.replace("assistant", "answer")
    assert measure(loaded) is None
    assert "agreement with the teacher is not measured: " in capsys.readouterr().err
    loaded.tokenizer.add_tokens(["new"])
    with pytest.raises(UserError, match="another tokenizer"):
        measure.measure(loaded)


def test_damaged_distributions_are_refused_before_any_work(tmp_path, models, answers):
    manifest = capture(tmp_path, [answers], *models)
    shard = tmp_path / "shard_0.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match="shard_0"):
        Agreement(manifest, answers)
