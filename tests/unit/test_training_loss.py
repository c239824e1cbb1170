"""The trainers against plain loops in independent code: full logits, one row at a time."""

import json
import math
from types import SimpleNamespace

import pytest
import torch

from pipestill.models.adapters import add_adapter
from pipestill.models.hardware import HardwarePlan
from pipestill.models.rows import IGNORED, RowEncoder, read_answers, read_pairs
from pipestill.objectives.cross_entropy.train import answer_loss
from pipestill.settings.training import LoraConfig
from pipestill.training.callbacks import Schedule
from support.models import make_batch, make_model, make_tokenizer
from support.training_job import make_job, make_trainer

SGD = HardwarePlan("cpu", optimizer="sgd")  # differences stay in proportion, which Adam's division would not keep
ANSWERS = ["Good", "Standard deviation of the debt", "Bad", "Good", "Bad Bad Bad", "Standard", "Good", "Bad 12 34 56"]
BETA = 0.3


def architectures(vocabulary):
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    llama = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
    return {
        "qwen2": make_model(vocabulary),
        "llama": LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **llama, initializer_range=0.1)),
        "gpt2": GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary, n_embd=32, n_layer=2, n_head=4, n_positions=256)),
    }


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


@pytest.fixture
def files(tmp_path, tokenizer):
    """Rows of both objectives on the same prompts, of unequal lengths."""
    prompts = [f"Age: {20 + i}.0, Outstanding Debt: {'9' * i}" for i in range(len(ANSWERS))]
    ce, dpo = tmp_path / "ce.jsonl", tmp_path / "dpo.jsonl"
    ce.write_text("".join(json.dumps({"input": p, "output": a}) + "\n" for p, a in zip(prompts, ANSWERS, strict=True)))
    rows = [{"prompt": p, "chosen": a, "rejected": "Good Bad"} for p, a in zip(prompts, ANSWERS, strict=True)]
    dpo.write_text("".join(json.dumps(row) + "\n" for row in rows))
    encoder = RowEncoder(tokenizer, 128)
    return SimpleNamespace(sft=read_answers(ce, encoder), dpo=read_pairs(dpo, encoder))


def trainer_for(tmp_path, tokenizer, model, method, rows, plan=SGD, held_out=None, **training):
    options = {"beta": BETA} if method == "dpo" else {}
    job = make_job(tmp_path, method, tokenizer, options, plan, learning_rate=0.05, **training)
    trainer = make_trainer(job, model, rows, held_out)
    trainer.add_callback(Schedule(job.settings.training.evaluations, job.settings.training.saves, trainer.batches))
    return trainer


def flat(model):
    return torch.cat([tensor.detach().flatten() for tensor in model.parameters()])


def log_probability(model, prompt, answer):
    """Sum over the answer's tokens, from full logits of one row without padding, in float64."""
    logits = model(input_ids=torch.tensor([prompt + answer])).logits[0].double()
    log_probs = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    return log_probs.gather(1, torch.tensor(answer)[:, None]).sum()


def split(row):
    start = sum(label == IGNORED for label in row["labels"])
    return row["input_ids"][:start], row["input_ids"][start:]


def cross_entropy_of(model, rows, reference=None):
    pairs = [split(row) for row in rows]
    return -sum(log_probability(model, *pair) for pair in pairs) / sum(len(answer) for _, answer in pairs)


def dpo_of(model, rows, reference):
    def margin(some, row):
        chosen, rejected = (log_probability(some, row["prompt_ids"], row[f"{k}_ids"]) for k in ("chosen", "rejected"))
        return chosen - rejected

    with torch.no_grad():
        before = [margin(reference, row) for row in rows]
    losses = [-torch.nn.functional.logsigmoid(BETA * (margin(model, r) - b)) for r, b in zip(rows, before, strict=True)]
    return sum(losses) / len(losses)


LOSSES = {"sft": cross_entropy_of, "dpo": dpo_of}


@pytest.mark.parametrize("name", ["qwen2", "llama", "gpt2"])
def test_the_head_sees_supervised_positions_only_and_the_loss_is_that_of_full_logits(tokenizer, name):
    model = architectures(len(tokenizer))[name].eval()
    batch = make_batch(tokenizer, ("Age: 23.0", "Outstanding Debt: 809.98, Age: 44.0"), answer="Standard deviation")
    projected = []
    handle = model.get_output_embeddings().register_forward_hook(lambda _, x, y: projected.append(y.shape))
    loss = answer_loss(model, batch)
    handle.remove()
    tokens = int((batch["labels"] != IGNORED).sum())
    assert projected == [(tokens, len(tokenizer))]
    assert float(loss) == pytest.approx(float(model(**batch).loss) * tokens, rel=1e-6)


def test_a_row_without_labels_and_a_label_at_the_end_of_the_batch(tokenizer):
    model = make_model(len(tokenizer)).eval()
    batch = make_batch(tokenizer)
    one = {name: tensor[1:] for name, tensor in batch.items()}  # ends with a label, no padding
    assert float(one["labels"][0, -1]) != IGNORED
    both = {name: tensor.clone() for name, tensor in batch.items()}
    both["labels"][0] = IGNORED
    assert float(answer_loss(model, both)) == pytest.approx(float(answer_loss(model, one)), rel=1e-6)


@pytest.mark.parametrize("method", ["sft", "dpo"])
@pytest.mark.parametrize(("batch_size", "accumulation", "rows"), [(2, 1, 8), (2, 3, 7), (1, 2, 3)])
def test_training_equals_a_plain_loop(tmp_path, tokenizer, files, method, batch_size, accumulation, rows):
    """Partial batches and partial accumulations count by their items."""
    data = getattr(files, method)[:rows]
    model, expected, reference = (make_model(len(tokenizer), seed=3) for _ in range(3))
    trainer = trainer_for(
        tmp_path, tokenizer, model, method, data, epochs=2, batch_size=batch_size, accumulation_steps=accumulation
    )
    trainer.train()
    losses = []
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.05)
    for epoch in range(2):
        trainer.batches.epoch = epoch
        batches = list(trainer.batches)
        for start in range(0, len(batches), accumulation):
            step = [data[index] for batch in batches[start : start + accumulation] for index in batch]
            loss = LOSSES[method](expected, step, reference)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float(loss))
    logged = [row["loss"] for row in trainer.history() if "loss" in row]
    assert logged == pytest.approx(losses, rel=1e-5)
    for (name, ours), theirs in zip(model.named_parameters(), expected.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=2e-6), name


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_accumulation_changes_nothing(tmp_path, tokenizer, files, method):
    data = getattr(files, method)
    weights = []
    for batch_size, steps in ((8, 1), (2, 4), (1, 8)):
        model = make_model(len(tokenizer), seed=3)
        trainer = trainer_for(
            tmp_path, tokenizer, model, method, data, max_steps=1, batch_size=batch_size, accumulation_steps=steps
        )
        trainer.train()
        weights.append(flat(model))
    assert not torch.equal(weights[0], flat(make_model(len(tokenizer), seed=3)))
    assert torch.allclose(weights[0], weights[1], rtol=0, atol=1e-6)
    assert torch.allclose(weights[0], weights[2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_evaluation_is_the_mean_over_all_items(tmp_path, tokenizer, files, method):
    data = getattr(files, method)
    model = make_model(len(tokenizer), seed=3)
    trainer = trainer_for(
        tmp_path, tokenizer, model, method, data[:2], held_out=data[:7], batch_size=1, epochs=1, evaluations=1
    )
    trainer.train()
    reference = make_model(len(tokenizer), seed=3)
    expected = float(LOSSES[method](model.eval(), data[:7], reference))
    (logged,) = [row["eval_loss"] for row in trainer.history() if "eval_loss" in row]
    assert logged == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("method", ["sft", "stepwise"])
def test_evaluation_never_holds_logits_of_more_tokens_than_a_chunk(tmp_path, tokenizer, files, monkeypatch, method):
    monkeypatch.setattr("pipestill.objectives.cross_entropy.train.CHUNK", 3)
    rows = data = files.sft
    if method == "stepwise":  # rationales are other rows' answers: the same mean
        rows, data = [row | {"rationale": other} for row, other in zip(data, reversed(data), strict=True)], 2 * data
    model = make_model(len(tokenizer), seed=3)
    trainer = trainer_for(tmp_path, tokenizer, model, method, rows)
    sizes = []
    model.get_output_embeddings().register_forward_hook(lambda _, x, y: sizes.append(y.shape[:-1].numel()))
    loss = trainer.evaluate()["eval_loss"]
    assert max(sizes) == 3
    assert sum(sizes) == sum(label != IGNORED for row in data for label in row["labels"])
    assert loss == pytest.approx(float(cross_entropy_of(model, data)), rel=1e-5)


def test_evaluation_keeps_what_a_model_does_behind_its_head(tmp_path, tokenizer, files):
    """Logits of Gemma 2 are capped; here the cap is far below them."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    shape = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, head_dim=8)
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=len(tokenizer), **shape, num_key_value_heads=2, initializer_range=1.0, final_logit_softcapping=2.0
    )
    model = Gemma2ForCausalLM(config).eval()
    trainer = trainer_for(tmp_path, tokenizer, model, "sft", files.sft)
    expected = float(cross_entropy_of(model, files.sft))
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-5)
    config.final_logit_softcapping = model.config.final_logit_softcapping = None
    assert float(cross_entropy_of(model, files.sft)) > expected + 1


def test_the_log_has_no_times_and_seven_digits(tmp_path, tokenizer, files):
    model = make_model(len(tokenizer), seed=3)
    trainer = trainer_for(tmp_path, tokenizer, model, "sft", files.sft, max_steps=3, batch_size=3)
    trainer.train()
    rows = trainer.history()
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3]
    keys = {"step", "epoch", "loss", "learning_rate", "grad_norm"}, {"step", "epoch", "eval_loss"}
    assert all(row.keys() in keys for row in rows)
    assert all(len(str(row["loss"]).replace(".", "").lstrip("0")) <= 7 for row in rows if "loss" in row)
    assert trainer.cost.tokens == sum(len(row["input_ids"]) for row in files.sft)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, tokenizer, files):
    from pipestill.errors import UserError

    model = make_model(len(tokenizer), seed=3)
    with torch.no_grad():
        model.model.norm.weight.fill_(math.inf)
    trainer = trainer_for(tmp_path, tokenizer, model, "sft", files.sft, max_steps=2)
    with pytest.raises(UserError, match=r"at step 1: lower training.learning_rate"):
        trainer.train()


def test_dpo_scores_answers_only(tmp_path, tokenizer, files, monkeypatch):
    """TRL's head gets the answers' positions, forwards and reference alike."""
    import trl.trainer.utils

    rows, original = [], trl.trainer.utils._ChunkedLogProbFunction.apply
    monkeypatch.setattr(
        trl.trainer.utils._ChunkedLogProbFunction,
        "apply",
        lambda hidden, *rest: (rows.append(len(hidden)), original(hidden, *rest))[1],
    )
    trainer = trainer_for(
        tmp_path, tokenizer, make_model(len(tokenizer)), "dpo", files.dpo, max_steps=1, batch_size=8, evaluations=1
    )
    answers = sum(len(row["chosen_ids"]) + len(row["rejected_ids"]) for row in files.dpo)
    assert rows == [answers, answers]  # the reference of training and validation rows
    trainer.train()
    assert rows == [answers] * 4


def test_the_reference_of_an_adapter_is_the_model_below_it(tmp_path, tokenizer, files):
    torch.manual_seed(0)
    model = add_adapter(make_model(len(tokenizer), seed=3), LoraConfig(dropout=0.5), SGD)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "lora_B" in name:
                tensor.normal_(std=0.1)
    trainer = trainer_for(tmp_path, tokenizer, model, "dpo", files.dpo, adaptation="lora", batch_size=8, max_steps=1)
    assert list(model.peft_config) == ["default"]  # no copy is kept
    plain = make_model(len(tokenizer), seed=3).eval()
    with torch.no_grad():
        for row in trainer.train_dataset:
            for side in ("chosen", "rejected"):
                expected = float(log_probability(plain, row["prompt_ids"], row[f"{side}_ids"]))
                assert row[f"ref_{side}_logps"] == pytest.approx(expected, rel=1e-5)
        batch = trainer.hardest_batch()
        expected = float(dpo_of(model.eval(), files.dpo, plain))
        assert float(trainer.mean_loss(model, batch)) == pytest.approx(expected, rel=1e-4)
    assert not any(trainer._metrics.values())
