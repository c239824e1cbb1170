"""Classifiers: a new head on the body of a language model, from training to ranked labels."""

import json
import random
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from pipestill import cli
from pipestill.errors import UserError
from pipestill.inference.experiment import Runs, predict_experiment
from pipestill.inference.loaded import load
from pipestill.inference.rankers import rank, rank_all
from pipestill.io.files import read_json, write_json, write_sha256sums
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.methods import METHODS
from pipestill.models.classifiers import labels_of, with_head
from pipestill.models.kinds import CLASSIFIER, kind_of, read_config
from pipestill.models.lineage import is_adapter, read_lineage
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.models.provide import provide_base_model
from pipestill.models.rows import RowEncoder, collate_classes, read_classes
from pipestill.objectives.classification.train import class_loss
from pipestill.plan.check import check
from pipestill.plan.plan import Plan
from pipestill.settings.jobs import PredictionSettings
from pipestill.settings.models import BaseModelConfig, HardwareConfig
from pipestill.tasks import TASKS
from pipestill.training.files import Inputs
from pipestill.training.run import train
from support.asking import asking_about
from support.models import CPU, MAKERS, make_directory, make_directory_of, make_tokenizer
from support.training_job import make_settings, outputs_in
from support.workflow import ROOT

NF4 = replace(CPU, quantization="nf4")
CREDITMIX = TASKS["creditmix"]
LABELS = {label: label for label in sorted(CREDITMIX.answers.labels)}
WORDS = {label: [number] for number, label in enumerate(CREDITMIX.answers.labels)}  # no classifier reads them
VOCABULARY = len(make_tokenizer())


def rows_of(count, seed=0):
    """Rows of unequal length, whose class can be seen."""
    draw, found = random.Random(seed), []
    for number in range(count):
        label = draw.choice(list(LABELS))
        text = (
            f"Age: {draw.randint(18, 80)}.0, Debt: {'9' * draw.randint(1, 20)}, {'abc'[list(LABELS).index(label)] * 3}"
        )
        found.append({"id": str(number), "input": text, "output": label})
    return found


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    write_jsonl(path, rows_of(24))
    return path


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    made = {"causal": make_directory(results / "models/causal"), "bert": results / "models/bert"}
    make_directory_of("bert", made["bert"], max_position_embeddings=128)
    return made


def make_run(directory, file, base, method="vanilla", adaptation="full", init=None, seed=1, hardware=None, **training):
    training = dict(max_steps=6, learning_rate=5e-3, evaluations=2, batch_size=4) | training
    settings = make_settings(method, adaptation=adaptation, **training)
    update = {"hardware": hardware or HardwareConfig(device="cpu")}
    if method == "vanilla":
        update["labels"] = LABELS
    outputs = outputs_in(directory)
    train(settings.model_copy(update=update), Inputs(file, file, base, init), outputs, seed, threads=1)
    return outputs.model


def batch_of(base, rows):
    tokenizer = load_tokenizer(base)
    encoder = RowEncoder(tokenizer, 64)
    encoded = [{"input_ids": encoder.prompts(row["input"], 64), "class": n % 3} for n, row in enumerate(rows)]
    return collate_classes(encoded, tokenizer.pad_token_id)


ARCHITECTURES = {"causal": "score", "bert": "classifier"}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_the_body_stays_and_the_head_is_drawn_by_the_seed(kind):
    weights = {name: tensor.clone() for name, tensor in MAKERS[kind](60, 3).state_dict().items()}
    made = []
    for seed in (1, 1, 2):
        model = MAKERS[kind](60, 3)
        torch.manual_seed(seed)
        made.append(with_head(model, list(LABELS)))
    (model, new), (again, _), (other, _) = made
    assert new == (["score"] if kind == "causal" else ["bert.pooler", "classifier"])
    assert not any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])
    state = model.state_dict()
    for name, tensor in state.items():
        if name.startswith(tuple(new)):
            assert torch.equal(tensor, again.state_dict()[name]) and tensor.dtype == torch.float32
        else:
            assert torch.equal(tensor, weights[name])
    drawn = f"{ARCHITECTURES[kind]}.weight"
    assert not torch.equal(state[drawn], other.state_dict()[drawn])
    assert (kind_of(model.config), labels_of(model)) == (CLASSIFIER, list(LABELS))


def test_an_architecture_without_a_classifier_is_a_sentence():
    from transformers import BertGenerationConfig, BertGenerationDecoder

    config = BertGenerationConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, is_decoder=True
    )
    with pytest.raises(UserError, match="transformers has no classifier of the architecture bert-generation"):
        with_head(BertGenerationDecoder(config), ["a", "b"])


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_the_loss_is_the_cross_entropy_of_the_state_at_one_token(bases, kind):
    """Loss and gradient of the head, against the body's states in float64."""
    torch.manual_seed(0)
    model, _ = with_head(load_base_model(bases[kind], CPU, training=True), list(LABELS))
    batch = batch_of(bases[kind], rows_of(5))
    loss = class_loss(model, batch)
    loss.backward()
    wide = with_head(load_base_model(bases[kind], CPU, training=True), list(LABELS))[0].double()
    wide.load_state_dict({name: tensor.double() for name, tensor in model.state_dict().items()})
    total = 0.0
    for row, mask, label in zip(batch["input_ids"], batch["attention_mask"], batch["classes"], strict=True):
        ids = row[: int(mask.sum())][None]  # each row alone, without padding
        if kind == "causal":
            logits = wide.score(wide.model(input_ids=ids).last_hidden_state[0, -1])
        else:
            first = wide.bert(input_ids=ids).last_hidden_state[0, 0]
            logits = wide.classifier(torch.tanh(wide.bert.pooler.dense(first)))
        total = total - (logits[label] - torch.logsumexp(logits, 0))
    total.backward()
    assert float(loss) == pytest.approx(float(total), abs=1e-5)
    for name, tensor in wide.named_parameters():
        assert torch.allclose(model.get_parameter(name).grad.double(), tensor.grad, atol=2e-5), name


@pytest.mark.parametrize(("kind", "adaptation"), [("causal", "full"), ("causal", "lora"), ("bert", "lora")])
def test_training_lowers_the_loss_and_disk_gives_the_same_scores(tmp_path, file, bases, kind, adaptation):
    base, least = bases[kind], 0.5 if kind == "causal" else 0.2  # a random BERT learns slowly from its first token
    model = make_run(tmp_path / "run", file, base, adaptation=adaptation, max_steps=60, evaluations=3)
    losses = [row["eval_loss"] for row in read_jsonl(model / "history.jsonl") if "eval_loss" in row]
    assert losses[-1] < (1 - least) * losses[0]
    lineage = read_lineage(model)
    assert lineage["labels"] == list(LABELS) and is_adapter(model) == (adaptation == "lora")

    loaded = load(base, model, CPU)
    assert (kind_of(loaded.model.config), labels_of(loaded.model)) == (CLASSIFIER, list(LABELS))
    prompts = [loaded.encoder(CREDITMIX.prompts["answer"])(row["input"], 64) for row in rows_of(24)]
    scores = rank_all(loaded, prompts, WORDS)
    assert np.allclose(np.exp(scores.mean_log_prob).sum(1), 1) and np.all(scores.label_mass == 1)
    found = [list(WORDS)[column] for column in scores.mean_log_prob.argmax(1)]
    right = np.mean([label == row["output"] for label, row in zip(found, rows_of(24), strict=True)])
    gold = [list(WORDS).index(row["output"]) for row in rows_of(24)]
    assert right > 0.6  # columns are in the order that is asked for, not in that of the head
    assert -scores.mean_log_prob[range(24), gold].mean() == pytest.approx(losses[-1], abs=1e-5)
    merged = load_trained_model(model, base, CPU, merge=True)
    assert np.allclose(
        rank_all(replace(loaded, model=merged), prompts, WORDS).mean_log_prob, scores.mean_log_prob, atol=1e-5
    )


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_an_adapter_has_the_head_and_trains_nothing_else_whole(tmp_path, file, bases, kind):
    from safetensors.torch import load_file

    model = make_run(tmp_path / "run", file, bases[kind], adaptation="lora")
    names = set(load_file(model / "adapter_model.safetensors"))
    whole = {name for name in names if "lora_" not in name}
    new = {"score.weight"} if kind == "causal" else {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    new |= set() if kind == "causal" else {"classifier.weight", "classifier.bias"}
    assert whole == {f"base_model.model.{name}" for name in new}
    body = "layers" if kind == "causal" else "encoder"
    assert all(body in name for name in names - whole)
    again = make_run(tmp_path / "again", file, bases[kind], adaptation="lora")
    assert (again / "SHA256SUMS").read_text() == (model / "SHA256SUMS").read_text()
    other = make_run(tmp_path / "other", file, bases[kind], adaptation="lora", seed=2)
    assert (other / "SHA256SUMS").read_text() != (model / "SHA256SUMS").read_text()


def test_it_can_be_trained_on_four_bit_weights_from_the_sft_student_and_by_its_biases(tmp_path, file, bases):
    base = bases["causal"]
    four_bit = HardwareConfig(device="cpu", quantization="nf4")
    model = make_run(tmp_path / "nf4", file, base, adaptation="lora", hardware=four_bit)
    assert read_json(model / "profile.json")["quantised_layers"] == 14
    loaded = load(base, model, NF4)
    assert np.all(rank_all(loaded, [[5, 6, 7]], WORDS).label_mass == 1)

    student = make_run(tmp_path / "sft", file, base, "sft", "lora")
    model = make_run(tmp_path / "from_sft", file, base, adaptation="biases", init=student)
    before = load_trained_model(student, base, CPU, merge=True).state_dict()
    after = load_trained_model(model, base, CPU).state_dict()
    moved = {name for name in after.keys() & before if not torch.allclose(before[name], after[name], atol=1e-6)}
    assert moved and all(name.endswith("bias") for name in moved) and "score.weight" in after


def test_weights_by_validation_loss_are_those_of_its_step(tmp_path, file, bases):
    model = make_run(tmp_path / "run", file, bases["causal"], adaptation="lora", select="loss", evaluations=3)
    chosen = read_json(model / "selection.json")
    assert (chosen["by"], len(chosen["candidates"])) == ("eval_loss", 1)


@pytest.mark.parametrize("pad", ["<|endoftext|>", None])
def test_padding_changes_no_score(tmp_path, pad):
    """Where the end of a turn pads, too, the prompt's own control tokens are read all the same."""
    base = make_directory(tmp_path / "base", pad=pad, initializer_range=0.3)
    torch.manual_seed(0)
    loaded = load(base, None, CPU)
    loaded = replace(loaded, model=with_head(loaded.model, list(LABELS))[0])
    encoder = loaded.encoder(CREDITMIX.prompts["answer"])
    prompts = [encoder(row["input"], 64) for row in rows_of(9)]
    together = rank_all(loaded, prompts, WORDS).mean_log_prob
    alone = np.concatenate([rank_all(loaded, [prompt], WORDS).mean_log_prob for prompt in prompts])
    assert np.abs(together - alone).max() < 1e-5 and together.std() > 0.01
    order = {label: WORDS[label] for label in reversed(WORDS)}
    assert np.array_equal(rank_all(loaded, prompts, order).mean_log_prob, together[:, ::-1])
    done = {0, 3}
    again = {
        index: row
        for indices, found in rank(loaded, prompts, WORDS, done)
        for index, row in zip(indices, found.mean_log_prob, strict=True)
    }
    assert again.keys() == set(range(9)) - done
    assert all(np.array_equal(row, together[index]) for index, row in again.items())


def test_labels_that_it_was_not_trained_for_are_refused(bases):
    loaded = load(bases["causal"], None, CPU)
    loaded = replace(loaded, model=with_head(loaded.model, ["yes", "no"])[0])
    with pytest.raises(UserError, match="is a classifier of yes, no, and is asked about Good"):
        rank_all(loaded, [[1, 2]], WORDS)


def test_an_answer_that_is_no_label_is_named_with_its_line(tmp_path, bases):
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [*rows_of(2), {"input": "x", "output": "Maybe"}])
    encoder = RowEncoder(load_tokenizer(bases["causal"]), 64)
    with pytest.raises(UserError, match=r"rows.jsonl, line 3: the answer 'Maybe' is none of 'Bad', 'Good', 'Standard'"):
        read_classes(path, encoder, {label: number for number, label in enumerate(LABELS)})


def test_rows_are_prompts_alone_with_what_the_tokenizer_ends_a_text_with(tmp_path):
    from tokenizers.processors import TemplateProcessing

    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"input": "Age: 23.0 " * 20, "output": "Good"}])
    tokenizer = make_tokenizer(template=None)
    first, last = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|endoftext|>"])
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A <|endoftext|>", special_tokens=[("<|im_start|>", first), ("<|endoftext|>", last)]
    )
    (row,) = read_classes(path, RowEncoder(tokenizer, 16), {"Good": 0})
    assert row["class"] == 0 and len(row["input_ids"]) == 16
    assert (row["input_ids"][0], row["input_ids"][-1]) == (first, last)


def test_only_tasks_of_labels_have_classifiers():
    objective = METHODS["vanilla"].objective
    assert objective.lacks(TASKS["dolly"].answers) == "labels" and objective.lacks(CREDITMIX.answers) is None
    assert objective.labels(CREDITMIX.answers) == CREDITMIX.answers.labels
    assert METHODS["sft"].objective.labels(CREDITMIX.answers) == ()


def test_a_classifier_is_no_base_model(tmp_path, bases):
    directory = tmp_path / "head"
    with_head(load_base_model(bases["causal"], CPU), ["a", "b"])[0].save_pretrained(directory)
    make_tokenizer().save_pretrained(directory)
    write_sha256sums(directory)
    assert kind_of(read_config(directory)) == CLASSIFIER
    with pytest.raises(UserError, match=r"is a classifier .*, and students start from language models"):
        provide_base_model(BaseModelConfig(source="path", path=str(directory)), tmp_path / "out")


@pytest.mark.parametrize("adaptation", ["full", "lora"])
def test_an_experiment_is_predicted_calibrated_and_asked_by_hand(
    tmp_path, file, bases, adaptation, capsys, monkeypatch
):
    results = bases["causal"].parents[1]
    experiment = results / f"creditmix{adaptation}_vanilla"
    model = make_run(experiment / "seed_1", file, bases["causal"], adaptation=adaptation, max_steps=30)
    records = []
    for number, row in enumerate(rows_of(18, seed=1)):
        split = ("train", "validation", "test")[number % 3]
        records.append(Record(row["id"], split, {"features": row["input"]}, row["output"], [row["output"]]))
    write_jsonl(tmp_path / "cropped.jsonl", records)
    settings = PredictionSettings(
        asking=asking_about("creditmix", max_prompt_tokens=248, max_new_tokens=8),
        **dict(data={"max_chars": 200}, adaptation=adaptation, hardware={"device": "cpu"}, code="1"),
    )
    output = experiment / "predictions"
    predict_experiment(
        settings, Runs(bases["causal"], {1: model}), tmp_path / "cropped.jsonl", tmp_path / "s", output, 1
    )
    rows, fitted = read_jsonl(output / "seed_1/predictions.jsonl"), read_json(output / "seed_1/calibration.json")
    assert set(fitted["priors"]) == {"none", "multi_null", "domain_conditional", "pmi", "batch"}
    for row in rows:
        assert row["label_mass"] == 1 and sum(np.exp(list(row["raw_scores"].values()))) == pytest.approx(1)
    command = [
        "pipestill",
        "predict",
        experiment.name,
        "--results",
        str(results),
        "--features",
        records[2].inputs["features"],
    ]
    monkeypatch.setattr(sys, "argv", command)
    cli.main()
    said = capsys.readouterr().out.split()[0]
    assert said == next(row["prediction"] for row in rows if row["id"] == records[2].id)


def test_another_head_than_its_config_asks_for_is_refused(tmp_path, file, bases):
    model = make_run(tmp_path / "run", file, bases["causal"])
    write_json(model / "config.json", read_json(model / "config.json") | {"id2label": {"0": "a"}, "label2id": {"a": 0}})
    write_sha256sums(model)
    with pytest.raises(UserError, match=r"has other shapes: score.weight"):
        load(bases["causal"], model, CPU)


def test_a_study_of_texts_has_no_classifier():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["studies"]["dolly"] |= {"methods": ["sft", "vanilla"], "compress": {}}
    with pytest.raises(UserError, match="`vanilla` needs labels, and `dolly` has none; leave it out"):
        check(config)


def test_a_job_is_told_the_answers_of_its_labels_in_any_prompt():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["studies"]["creditmix"]["methods"] = ["sft", "vanilla"]
    plan = Plan(check(config), ROOT)
    told = {method: json.loads(plan.training_settings("creditmix", method)) for method in ("sft", "vanilla")}
    assert (told["sft"]["labels"], told["vanilla"]["labels"]) == ({}, LABELS)
    assert plan.maker("creditmix", "sft") == "sft"  # both read one file
