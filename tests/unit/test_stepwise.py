"""Distilling step-by-step against plain loops over full logits, and its training file."""

import json

import pytest
import torch

from pipestill.errors import UserError
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.methods import METHODS
from pipestill.models.hardware import HardwarePlan
from pipestill.models.kinds import Reading
from pipestill.models.prompts import encode_prompt
from pipestill.models.rows import IGNORED, RowEncoder, read_answers, read_explained
from pipestill.objectives.training_file import write_training_file
from pipestill.settings.jobs import TrainingFileSettings
from pipestill.tasks import TASKS
from pipestill.tasks.base import ANSWER
from pipestill.training.callbacks import Schedule
from support.models import MAKERS, make_model, make_tokenizer
from support.training_job import make_job, make_trainer

SGD = HardwarePlan("cpu", optimizer="sgd")  # differences stay in proportion, which Adam's division would not keep
RATE = 0.05
KINDS = pytest.mark.parametrize(("kind", "reading"), [("causal", Reading()), ("t5", Reading("seq2seq", 0))])


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Answers and rationales of unequal lengths, in unequal order; one row has no rationale."""
    path = tmp_path_factory.mktemp("data") / "stepwise.jsonl"
    rows = [
        {"input": f"Age: {20 + i}.0 {'9' * (i % 3)}", "output": "Good " * (1 + i % 4)}
        | ({"rationale_prompt": f"Why? {20 + i}.0", "rationale": "Bad Debt " * (7 - i)} if i != 3 else {})
        for i in range(7)
    ]
    write_jsonl(path, rows)
    return path


def trained(tmp_path, tokenizer, rows, method="stepwise", alpha=0.3, one_pass=True, kind="causal", **training):
    """A trainer that has trained, with the history of its run."""
    options = {"alpha": alpha, "one_pass": one_pass} if method == "stepwise" else {}
    job = make_job(tmp_path, method, tokenizer, options, SGD, **({"learning_rate": RATE, "epochs": 1} | training))
    trainer = make_trainer(job, MAKERS[kind](len(tokenizer), seed=3), rows)
    trainer.add_callback(Schedule(job.settings.training.evaluations, job.settings.training.saves, trainer.batches))
    trainer.train()
    return trainer


def flat(model):
    return torch.cat([tensor.detach().flatten() for tensor in model.parameters()])


def mean_loss(model, sequences):
    """Mean over all supervised tokens, from full logits of one sequence at a time, in float64."""
    total, tokens = 0, 0
    for sequence in sequences:
        log_probs = model(input_ids=torch.tensor([sequence["input_ids"]])).logits[0].double().log_softmax(-1)
        for place, label in enumerate(sequence["labels"]):
            if label != IGNORED:
                total, tokens = total - log_probs[place - 1, label], tokens + 1
    return total / tokens


def parts(model, rows):
    return mean_loss(model, rows), mean_loss(model, [row["rationale"] for row in rows if row["rationale"]])


@pytest.mark.parametrize(("batch_size", "accumulation"), [(2, 1), (2, 3)])
@pytest.mark.parametrize("one_pass", [True, False])
def test_training_equals_a_plain_loop(tmp_path, tokenizer, file, batch_size, accumulation, one_pass):
    """Each part is the mean over its own tokens of the whole step, also where the last step is smaller."""
    rows = read_explained(file, RowEncoder(tokenizer, 128))
    size = {"batch_size": batch_size, "accumulation_steps": accumulation, "evaluations": 1}
    trainer = trained(tmp_path, tokenizer, rows, one_pass=one_pass, **size)
    expected, losses = make_model(len(tokenizer), seed=3), []
    optimizer = torch.optim.SGD(expected.parameters(), lr=RATE)
    trainer.batches.epoch = 0
    batches = list(trainer.batches)
    for start in range(0, len(batches), accumulation):
        step = [rows[index] for batch in batches[start : start + accumulation] for index in batch]
        explained = any(row["rationale"] for row in step)
        prediction, rationale = parts(expected, step) if explained else (mean_loss(expected, step), 0.0)
        loss = 0.3 * prediction + 0.7 * rationale
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append([float(torch.as_tensor(part).detach()) for part in (loss, prediction, rationale)])
    names = ("loss", "prediction_loss", "rationale_loss")
    history = trainer.history()
    logged = [tuple(row[name] for name in names) for row in history if "loss" in row]
    assert torch.allclose(torch.tensor(logged), torch.tensor(losses), rtol=1e-5)
    assert torch.allclose(flat(trainer.model), flat(expected), rtol=0, atol=2e-6)
    with torch.no_grad():
        prediction, rationale = map(float, parts(expected, rows))
    (evaluation,) = [row for row in history if "eval_loss" in row]
    measured = [evaluation[f"eval_{name}"] for name in names]
    assert measured == pytest.approx([0.3 * prediction + 0.7 * rationale, prediction, rationale], rel=1e-5)


@KINDS
def test_accumulation_and_passes_change_nothing(tmp_path, tokenizer, file, kind, reading):
    rows, weights = read_explained(file, RowEncoder(tokenizer, 128, reading)), []
    for one_pass, size, steps in ((True, 7, 1), (False, 7, 1), (True, 2, 4), (False, 1, 7)):
        options = {"kind": kind, "one_pass": one_pass, "batch_size": size, "accumulation_steps": steps}
        weights.append(flat(trained(tmp_path, tokenizer, rows, **options).model))
    assert (weights[0] - flat(MAKERS[kind](len(tokenizer), seed=3))).abs().max() > 1e-3
    for other in weights[1:]:
        assert torch.allclose(weights[0], other, rtol=0, atol=1e-6)


@KINDS
def test_alpha_1_is_cross_entropy_and_alpha_0_learns_only_rationales(tmp_path, tokenizer, file, kind, reading):
    rows, answers = (read(file, RowEncoder(tokenizer, 128, reading)) for read in (read_explained, read_answers))
    size = {"batch_size": 2, "accumulation_steps": 2, "epochs": 2, "kind": kind}
    ours = flat(trained(tmp_path, tokenizer, rows, alpha=1, **size).model)
    theirs = flat(trained(tmp_path, tokenizer, answers, method="sft", **size).model)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-6)
    explained = [row for row in rows if row["rationale"]]
    ours = flat(trained(tmp_path, tokenizer, explained, alpha=0, batch_size=7, kind=kind).model)
    rationales = [row["rationale"] for row in explained]
    size = {"batch_size": 7, "kind": kind}
    theirs = flat(trained(tmp_path, tokenizer, rationales, method="sft", **size).model)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-6)


def test_passes_apart_are_small_and_checked_where_the_loss_depends_on_them(tmp_path, tokenizer, file):
    rows = read_explained(file, RowEncoder(tokenizer, 128))
    both, apart = (
        trained(tmp_path, tokenizer, rows, one_pass=one_pass, batch_size=2, max_steps=1) for one_pass in (True, False)
    )
    assert len(both.hardest_batch()["input_ids"]) == 4
    hardest = apart.hardest_batch()
    assert hardest["explains"].tolist() == [True, True]  # the longest rationale has more tokens than any answer
    longest = max(len(row["rationale"]["input_ids"]) for row in rows if row["rationale"])
    assert hardest["input_ids"].shape == (2, longest)
    no_rationales = trained(tmp_path, tokenizer, rows, alpha=1, one_pass=False, batch_size=2, max_steps=1)
    assert not no_rationales.hardest_batch()["explains"].any()


TASK = TASKS["multiclinsum"]


def make_record(split, i):
    inputs, answer = {"document": f"Report {split} {i}."}, f"Sum {i}."
    return Record(f"{split}{i}", split, inputs, answer, [answer], "en", TASK.prompts[ANSWER].fill(inputs))


RECORDS = [make_record(split, i) for split in ("train", "validation", "test") for i in range(4)]


def make_files(tmp_path, rationales, allow_missing=0.0, crop=lambda text, record: text):
    files = {name: tmp_path / f"{name}.jsonl" for name in ("records", "rationales", "train", "validation")}
    write_jsonl(files["records"], RECORDS)
    write_jsonl(files["rationales"], ({"id": i, "rationale": text} for i, text in rationales.items()))
    settings = TrainingFileSettings(
        task=TASK.name, prompt=TASK.prompts["answer"], method="stepwise", rows=3, seed=42, allow_missing=allow_missing
    )
    write_training_file(TASK, METHODS["stepwise"].objective, settings, files, crop)
    return [read_jsonl(files[name]) for name in ("train", "validation")]


def test_the_training_file_has_the_prompt_of_inference_and_the_annotation_s_rationale(tmp_path):
    rationales = {record.id: f"Key of {record.id}" for record in RECORDS if record.split != "test"}
    train, validation = make_files(tmp_path, rationales)
    assert (len(train), len(validation)) == (3, 4)
    by_id = {record.id: record for record in RECORDS}
    for row in train + validation:
        text = by_id[row["id"]].inputs["document"]
        assert row == {
            "id": row["id"],
            "input": f"Summarize clinical text:\n{text}",
            "output": by_id[row["id"]].target,
            "rationale_prompt": f"Extract the key information from clinical text:\n{text}",
            "rationale": f"Key of {row['id']}",
        }
    cropped, _ = make_files(tmp_path, rationales, crop=lambda text, record: text[:3])
    assert {row["rationale"] for row in cropped} == {"Key"}


def test_a_missing_rationale_is_an_error_unless_it_was_allowed(tmp_path, tokenizer):
    rationales = {record.id: "Key" for record in RECORDS if record.split == "train"}
    rationales |= {"validation0": "Key", "validation1": "Key", "validation2": ""}  # 2 of 8 are missing
    with pytest.raises(UserError, match=r"no rationale for 2 of 8 records, the first is validation2"):
        make_files(tmp_path, rationales, allow_missing=0.2)
    _, validation = make_files(tmp_path, rationales, allow_missing=0.25)
    assert ["rationale" in row for row in validation] == [True, True, False, False]
    rows = read_explained(tmp_path / "validation.jsonl", RowEncoder(tokenizer, 128))
    assert [row["rationale"] is not None for row in rows] == [True, True, False, False]


def test_the_document_is_cut_and_neither_template_nor_answer(tmp_path, tokenizer):
    row = {"input": "Age: " + "9 " * 200, "output": "Good", "rationale_prompt": "Why " * 200, "rationale": "Bad Debt"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (encoded,) = read_explained(tmp_path / "rows.jsonl", RowEncoder(tokenizer, 60))
    end = tokenizer.decode(encode_prompt(tokenizer, "")[-4:])
    for sequence, answer in ((encoded, "Good"), (encoded["rationale"], "Bad Debt")):
        text = tokenizer.decode(sequence["input_ids"])
        assert len(sequence["input_ids"]) <= 60
        assert text.endswith(f"{end}{answer}<|im_end|>")
