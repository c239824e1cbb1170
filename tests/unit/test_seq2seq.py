"""Encoder-decoders and masked models against whole logits of transformers, one row at a time and without padding."""

import hashlib
import json
import random
from itertools import pairwise

import pytest
import torch

from pipestill.errors import UserError
from pipestill.inference.answers import answer_prompts
from pipestill.inference.generation import generate
from pipestill.inference.loaded import load
from pipestill.inference.work import Work
from pipestill.io.files import read_json, write_sha256sums
from pipestill.io.records import read_jsonl
from pipestill.job.cost import CostMeter
from pipestill.models.adapters import add_adapter
from pipestill.models.hardware import HardwarePlan
from pipestill.models.heads import answer_logits, hidden_states, linear_head
from pipestill.models.kinds import Reading
from pipestill.models.loading import load_base_model
from pipestill.models.profile import check_gradients
from pipestill.models.provide import provide_base_model
from pipestill.models.rows import RowEncoder, collate, read_answers
from pipestill.objectives.cross_entropy.train import answer_loss
from pipestill.objectives.divergence.teachers import OnlineTeacher
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.jobs import TrainingSettings
from pipestill.settings.models import BaseModelConfig, HardwareConfig
from pipestill.settings.training import LoraConfig, TrainingConfig
from pipestill.training.files import Inputs
from pipestill.training.run import train
from support.asking import asking_about
from support.models import CPU, MAKERS, make_directory_of, make_t5
from support.seq2seq import KD_RATE, SGD, TEMPERATURE, TOKENIZER, trainer_for, whole
from support.training_job import make_job, outputs_in

PAD, EOS, VOCABULARY = TOKENIZER.pad_token_id, TOKENIZER.eos_token_id, len(TOKENIZER)
READING = Reading("seq2seq", PAD)
TEXTS = {
    "Age: 23.0": "Good",
    "Outstanding Debt: 809.98, Age: 44.0": "Standard deviation of the debt",
    "Occupation: Scientist": "Bad Bad Bad",
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"input": text, "output": TEXTS[text]}) + "\n" for text in TEXTS))
    return path


@pytest.fixture
def rows(file):
    return read_answers(file, RowEncoder(TOKENIZER, 64, READING))


def test_the_encoder_reads_the_prompt_and_the_decoder_start_answer_and_end(file, rows):
    for row, (text, answer) in zip(rows, TEXTS.items(), strict=True):
        assert row["input_ids"] == [*TOKENIZER.encode(text), EOS]
        assert row["decoder_input_ids"] == [PAD, *TOKENIZER.encode(answer), EOS]
        assert row["labels"] == [-100, *TOKENIZER.encode(answer), EOS]
    (_, short, _) = read_answers(file, RowEncoder(TOKENIZER, 30, READING))
    room = 30 - (len(short["labels"]) - 1)
    assert short["input_ids"] == [*rows[1]["input_ids"][: room - 1], EOS]


def test_a_batch_is_padded_on_both_sides_of_the_model(rows):
    batch = collate(rows, PAD)
    for name, ids in (("attention_mask", "input_ids"), ("decoder_attention_mask", "decoder_input_ids")):
        assert batch[name].sum(dim=1).tolist() == [len(row[ids]) for row in rows]
        assert [ids[mask.bool()].tolist() for ids, mask in zip(batch[ids], batch[name], strict=True)] == [
            row[ids] for row in rows
        ]


@pytest.mark.parametrize("name", ["t5", "t5 without scale", "marian"])
def test_logits_of_labels_are_those_of_the_whole_model(name, rows):
    model = MAKERS[name.split()[0]](VOCABULARY, **({"tie_word_embeddings": False} if "scale" in name else {})).eval()
    expected, answers = zip(*(whole(model, row) for row in rows), strict=True)
    batch = collate(rows, PAD)
    torch.testing.assert_close(answer_logits(model, batch), torch.cat(expected), rtol=1e-5, atol=1e-5)
    loss = torch.nn.functional.cross_entropy(torch.cat(expected), torch.cat(answers), reduction="sum")
    assert answer_loss(model, batch).item() == pytest.approx(loss.item(), rel=1e-6)
    head = linear_head(model)
    assert (head is None) == (name == "marian")  # which adds a bias that is none of the head's
    if head is not None:
        logits = head(hidden_states(model, batch))
        torch.testing.assert_close(logits, torch.cat(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["t5", "marian"])
@pytest.mark.parametrize(("size", "read_at_a_time"), [(0, 2048), (2, 2048), (0, 24)])
def test_greedy_answers_are_those_of_transformers(name, size, read_at_a_time, monkeypatch):
    monkeypatch.setattr("pipestill.inference.rows.CPU_PROMPT_TOKENS", read_at_a_time)
    model = MAKERS[name](VOCABULARY).double().eval()
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            if tensor.dim() == 2 and ("block" in key or "layers" in key):
                tensor.mul_(4)  # layers outweigh the token that was read, so that answers vary
    model.generation_config.eos_token_id = list(range(2, VOCABULARY, 7))  # so that they end at different lengths
    draw = random.Random(5)
    prompts = [[draw.randrange(3, VOCABULARY) for _ in range(length)] for length in (3, 11, 7, 1, 11, 20, 2, 14)]
    prompts.append(prompts[1])
    decoding = GenerationConfig(no_repeat_ngram_size=size)
    found = {}
    for batch in generate(model, TOKENIZER, prompts, max_new_tokens=12, decoding=decoding):
        found |= dict(batch)
    for index, prompt in enumerate(prompts):
        ids = torch.tensor([prompt])
        options = dict(max_new_tokens=12, do_sample=False, num_beams=1, no_repeat_ngram_size=size or None)
        theirs = model.generate(ids, attention_mask=torch.ones_like(ids), bad_words_ids=None, **options)[0, 1:]
        assert found[index].tokens == len(theirs)
        assert found[index].text == TOKENIZER.decode(theirs, skip_special_tokens=True).strip()
    assert len({answer.tokens for answer in found.values()}) > 1


def test_a_sampled_answer_depends_on_its_key_alone():
    model = make_t5(VOCABULARY).double().eval()
    prompts, keys = [[*TOKENIZER.encode(text), EOS] for text in TEXTS], list(TEXTS)
    options = dict(max_new_tokens=8, decoding=GenerationConfig(sampling=True))
    (together,) = generate(model, TOKENIZER, prompts, keys=keys, **options)
    for index, answer in together:
        ((alone,),) = generate(model, TOKENIZER, [prompts[index]], keys=[keys[index]], **options)
        assert alone[1] == answer


@pytest.mark.parametrize(
    ("name", "kind", "task"),
    [("t5", "seq2seq", "SEQ_2_SEQ_LM"), ("marian", "seq2seq", "SEQ_2_SEQ_LM"), ("bert", "masked", None)],
)
def test_every_kind_is_provided_adapted_and_loaded_again(tmp_path, name, kind, task, rows):
    source, base = make_directory_of(name, tmp_path / "source"), tmp_path / "base"
    with pytest.raises(UserError, match=f"set `kind: {kind}`"):
        provide_base_model(BaseModelConfig(source="path", path=str(source)), base)
    provide_base_model(BaseModelConfig(source="path", path=str(source), kind=kind), base)
    made = MAKERS[name](VOCABULARY)
    assert read_json(base / "provenance.json")["kind"] == kind
    assert read_json(base / "profile.json")["total_parameters"] == sum(p.numel() for p in made.parameters())
    model = load_base_model(base, CPU, training=True)
    assert type(model) is type(made)
    for key, tensor in made.state_dict().items():
        assert torch.equal(model.state_dict()[key], tensor), key
    adapted = add_adapter(model, LoraConfig(), CPU)
    assert adapted.peft_config["default"].task_type == task
    if kind == "masked":
        ids = torch.tensor([rows[0]["input_ids"]])
        found = check_gradients(adapted, {"input_ids": ids, "labels": ids})
    else:
        found = check_gradients(adapted, collate(rows, PAD), answer_loss)
    assert found["nonzero_gradients"] >= found["trainable_tensors"] // 2  # all of lora_B, none of lora_A


def test_an_encoder_decoder_without_a_start_is_refused(tmp_path):
    source = make_directory_of("t5", tmp_path / "source")
    config = read_json(source / "config.json")
    (source / "config.json").write_text(json.dumps(config | {"decoder_start_token_id": None}))
    write_sha256sums(source)
    with pytest.raises(UserError, match="decoder_start_token_id"):
        load_base_model(source, CPU)


def test_an_objective_names_the_kinds_of_models_that_it_trains(tmp_path):
    inputs = Inputs(None, None, base=make_directory_of("t5", tmp_path / "base"))
    job = make_job(tmp_path, "dpo", TOKENIZER, {}, SGD, inputs)
    with pytest.raises(
        UserError, match="`dpo` trains causal language models, and the student is of the kind `seq2seq`"
    ):
        job.read(None)
    assert make_job(tmp_path, "sft", TOKENIZER, {}, SGD, inputs).reading == READING


@pytest.mark.parametrize("divergence", [False, True])
def test_a_step_descends_the_loss_of_whole_logits(tmp_path, rows, divergence):
    student, oracle, teacher = make_t5(VOCABULARY, 1), make_t5(VOCABULARY, 1), make_t5(VOCABULARY, 2).eval()
    trainer = trainer_for(tmp_path, student, rows, OnlineTeacher(teacher, VOCABULARY) if divergence else None)
    trainer.train()
    loss, tokens = 0, 0
    for row in rows:
        logits, answer = whole(oracle, row)
        own = torch.nn.functional.cross_entropy(logits, answer, reduction="sum")
        if divergence:
            log_q = (logits / TEMPERATURE).log_softmax(-1)
            log_p = (whole(teacher, row)[0].detach() / TEMPERATURE).log_softmax(-1)
            own = (1 - KD_RATE) * own + KD_RATE * (log_p.exp() * (log_p - log_q)).sum()
        loss, tokens = loss + own, tokens + len(answer)
    (loss / tokens).backward()
    assert trainer.history()[0]["loss"] == pytest.approx(float(loss.detach() / tokens), rel=1e-5)
    assert trainer.cost.tokens == sum(len(row["input_ids"]) + len(row["decoder_input_ids"]) for row in rows)
    for (name, found), before in zip(student.named_parameters(), oracle.parameters(), strict=True):
        torch.testing.assert_close(found, before - 0.05 * before.grad, rtol=0, atol=2e-6, msg=name)


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_a_job_learns_its_rows_and_the_model_answers_from_disk(tmp_path, file, quantization):
    base = make_directory_of("t5", tmp_path / "base")
    adaptation = "full" if quantization == "none" else "lora"
    training = TrainingConfig(learning_rate=3e-3, max_steps=40 if adaptation == "full" else 2, adaptation=adaptation)
    hardware = HardwareConfig(device="cpu", quantization=quantization)
    settings = TrainingSettings(method="sft", training=training, hardware=hardware)
    train(settings, Inputs(data=file, validation=file, base=base), outputs_in(tmp_path), 5, 1)
    plan = HardwarePlan("cpu", quantization=quantization)
    loaded = load(base, tmp_path / "model", plan)
    assert (read_json(tmp_path / "model/profile.json")["quantised_layers"] > 0) == (quantization == "nf4")
    asking = asking_about("dolly", max_prompt_tokens=64, max_new_tokens=30)
    work = Work(tmp_path, CostMeter(tmp_path / "answers.json"), "test")
    answers = answer_prompts(loaded, asking, GenerationConfig(), {text: text for text in TEXTS}, work)
    if adaptation == "full":
        assert {text: row["text"] for text, row in answers.items()} == TEXTS


@pytest.mark.parametrize("adaptation", ["full", "lora"])
def test_a_job_leaves_checksums_sizes_the_gradient_check_and_its_memory(tmp_path, file, adaptation):
    base = make_directory_of("t5", tmp_path / "base")
    training = TrainingConfig(learning_rate=1e-3, max_steps=2, evaluations=1, adaptation=adaptation, batch_size=3)
    settings = TrainingSettings(
        method="sft", training=training, hardware=HardwareConfig(device="cpu", quantization="none")
    )
    train(settings, Inputs(data=file, validation=file, base=base), outputs_in(tmp_path), 5, 1)
    written = tmp_path / "model"
    listed = [line.split(maxsplit=1) for line in (written / "SHA256SUMS").read_text().splitlines()]
    others = {path.relative_to(written).as_posix(): path for path in written.rglob("*") if path.name != "SHA256SUMS"}
    assert {name.lstrip("*"): digest for digest, name in listed} == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in others.items()
    }
    assert ("adapter_model.safetensors" if adaptation == "lora" else "model.safetensors") in others

    made = make_t5(VOCABULARY)
    weights = dict(made.named_parameters())  # tied ones once
    total = sum(tensor.numel() for tensor in weights.values())
    # an adapter of rank 16 for each linear layer but the head: two matrices, of which one is zero at the start
    linear = [m for name, m in made.named_modules() if isinstance(m, torch.nn.Linear) and name != "lm_head"]
    added = sum(16 * (layer.in_features + layer.out_features) for layer in linear)
    trainable, tensors, nonzero = total, len(weights), len(weights)
    if adaptation == "lora":
        total, trainable, tensors, nonzero = total + added, added, 2 * len(linear), len(linear)
    found = read_json(written / "profile.json")
    assert (found["total_parameters"], found["trainable_parameters"]) == (total, trainable)
    assert found["parameter_bytes"] == {"float32": 4 * total} and found["quantised_layers"] == 0
    assert found["estimated_optimizer_bytes"]["adamw_torch"] == 8 * trainable
    check, labelled = found["gradient_check"], read_answers(file, RowEncoder(TOKENIZER, training.max_length, READING))
    losses = [torch.nn.functional.cross_entropy(*whole(made, row), reduction="none") for row in labelled]
    assert check["loss"] == pytest.approx(torch.cat(losses).mean().item(), rel=1e-5)
    assert check["supervised_tokens"] == sum(len(row["labels"]) - 1 for row in labelled)
    assert (check["trainable_tensors"], check["nonzero_gradients"]) == (tensors, nonzero)

    rows, cost = read_jsonl(tmp_path / "memory.jsonl"), read_json(tmp_path / "cost.json")
    assert [row["step"] for row in rows] == [1, 2]
    peaks = [row["peak_memory_mb"] for row in (*rows, cost)]
    assert peaks[0] > 50 and all(later > earlier - 1 for earlier, later in pairwise(peaks))
