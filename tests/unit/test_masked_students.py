"""Masked models as students: rows, losses, ranking and stored labels against whole logits, one row at a time."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from pipestill.answers.labels import predict as label_half
from pipestill.errors import UserError
from pipestill.inference.loaded import load
from pipestill.inference.masked_ranking import score_at_masks
from pipestill.inference.question import Question
from pipestill.inference.rankers import rank_all
from pipestill.inference.work import Work
from pipestill.job.cost import CostMeter
from pipestill.models.adapters import add_adapter
from pipestill.models.heads import answer_logits, hidden_states, linear_head
from pipestill.models.kinds import Reading, reading_of
from pipestill.models.loading import load_base_model, load_tokenizer
from pipestill.models.rows import IGNORED, RowEncoder, collate, read_answers
from pipestill.objectives.divergence.teachers import CachedTeacher, OnlineTeacher
from pipestill.objectives.divergence.train import TaughtData
from pipestill.settings.prompts import Form, Prompt
from pipestill.settings.training import LoraConfig
from pipestill.tasks import TASKS
from pipestill.teacher.agreement import Agreement
from pipestill.teacher.distributions.store import DistributionStore
from support.asking import asking_about
from support.distributions import capture
from support.models import CPU, make_directory
from support.seq2seq import SGD
from support.tokenizer_kinds import make_masked_directory
from support.training_job import make_job, make_trainer

LABELS = ["Good", "Bad", "Standard"]
TEXTS = ["Age: 23.0", "Outstanding Debt: 809.98, Age: 44.0", "Occupation: Scientist", "Debt: 9", "Age: 1, Debt: 2.5"]
ANSWERS = ["Good", "Standard", "Bad", "Bad", "Good"]
RAW = Form(render="raw")
KD_RATE, TEMPERATURE = 0.4, 2.0


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Directories of masked models and a causal one with another tokenizer, and a training file."""
    root = tmp_path_factory.mktemp("models")
    rows = [{"id": text, "input": text, "output": answer} for text, answer in zip(TEXTS, ANSWERS, strict=True)]
    file = root / "rows.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    models = {name: make_masked_directory(root / name, seed) for seed, name in enumerate(("student", "teacher"))}
    return SimpleNamespace(file=file, **models, causal=make_directory(root / "causal", 5))


@pytest.fixture(scope="module")
def tokenizer(place):
    return load_tokenizer(place.student)


@pytest.fixture(scope="module")
def rows(place, tokenizer):
    return read_answers(place.file, RowEncoder(tokenizer, 64, reading_of(place.student)))


def at_masks(model, row, mask):
    """Logits [masks, vocab] of one row by itself, in float64, and the tokens behind the masks."""
    ids = torch.tensor([row["input_ids"]])
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].double()
    return logits[ids[0] == mask], torch.tensor([label for label in row["labels"] if label != IGNORED])


def test_a_row_has_a_mask_for_each_token_of_its_answer(tokenizer):
    encoder = RowEncoder(tokenizer, 16, Reading("masked"))
    row = encoder.answer("Age: 23.0", "Good Bad")
    assert tokenizer.decode(row["input_ids"]) == "[CLS] age : 23. 0 [MASK] [MASK] [SEP]"
    shown = [token if token == IGNORED else tokenizer.decode([token]) for token in row["labels"]]
    assert shown == [*[IGNORED] * (len(row["labels"]) - 2), "good", "bad"]
    cut = encoder.answer("Age: 23.0 " * 9, "Good")
    assert len(cut["input_ids"]) == 16 and cut["input_ids"][-2:] == [tokenizer.mask_token_id, tokenizer.sep_token_id]
    bare = RowEncoder(tokenizer, 16, Reading("masked"), RAW).answer("Age", " Good")
    assert tokenizer.decode(bare["input_ids"]) == "[CLS] age [MASK] [SEP]"


def test_no_chat_template_stands_in_a_row(tokenizer):
    tokenizer = load_tokenizer(tokenizer.name_or_path)
    plain = RowEncoder(tokenizer, 64, Reading("masked")).answer("Age: 23.0", "Good")
    tokenizer.chat_template = "{% for m in messages %}[SEP] {{ m.content }} [SEP]{% endfor %}"
    assert RowEncoder(tokenizer, 64, Reading("masked")).answer("Age: 23.0", "Good") == plain


def test_a_tokenizer_without_a_mask_is_refused(place):
    with pytest.raises(UserError, match="names no mask: set mask_token"):
        RowEncoder(load_tokenizer(place.causal), 64, Reading("masked")).answer("Age", "Good")


def test_answers_that_the_number_of_masks_tells_are_refused(tmp_path, tokenizer):
    rows = [{"input": "Age", "output": output} for output in ("Good", "Bad", "Good Bad")]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(UserError, match="lines 1 and 3 take 1 and 2 masks, which would tell a masked model the answer"):
        read_answers(tmp_path / "rows.jsonl", RowEncoder(tokenizer, 64, Reading("masked")))


@pytest.mark.parametrize("adapter", [False, True])
def test_padded_batches_have_the_logits_of_single_rows_at_their_masks(place, tokenizer, rows, adapter):
    model = load_base_model(place.student, CPU)
    if adapter:
        torch.manual_seed(0)
        model = add_adapter(model, LoraConfig(r=4, dropout=0.0), CPU)
        for name, tensor in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(tensor, std=0.1)
    head = linear_head(model.eval())
    batch = collate(rows, tokenizer.pad_token_id)
    assert len(set(map(len, (row["input_ids"] for row in rows)))) > 2
    with torch.no_grad():
        expected = torch.cat([at_masks(model, row, tokenizer.mask_token_id)[0] for row in rows])
        for logits in (answer_logits(model, batch), head(hidden_states(model, batch))):
            torch.testing.assert_close(logits.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("divergence", [False, True])
def test_a_step_descends_the_loss_of_whole_logits(tmp_path, place, tokenizer, rows, divergence):
    student, oracle, teacher = (load_base_model(each, CPU) for each in (place.student, place.student, place.teacher))
    method, options, data = "sft", {}, {}
    if divergence:
        method, options = "fkl", {"kd_rate": KD_RATE, "temperature": TEMPERATURE, "chunk": 2}
        data = {"data": TaughtData, "teacher": OnlineTeacher(teacher, len(tokenizer))}
    size = {"learning_rate": 0.05, "max_steps": 1, "batch_size": len(rows)}
    trainer = make_trainer(make_job(tmp_path, method, tokenizer, options, SGD, **size), student, rows, **data)
    trainer.train()
    loss = 0
    for row in rows:
        logits, answer = at_masks(oracle, row, tokenizer.mask_token_id)
        own = cross_entropy(logits, answer, reduction="sum")
        if divergence:
            theirs = at_masks(teacher, row, tokenizer.mask_token_id)[0]
            log_p, log_q = ((each / TEMPERATURE).log_softmax(-1) for each in (theirs, logits))
            own = (1 - KD_RATE) * own + KD_RATE * (log_p.exp() * (log_p - log_q)).sum()
        loss = loss + own / len(rows)
    loss.backward()
    assert trainer.history()[0]["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    for (name, tensor), same in zip(student.named_parameters(), oracle.parameters(), strict=True):
        expected = same if same.grad is None else same - 0.05 * same.grad
        torch.testing.assert_close(tensor, expected, rtol=0, atol=2e-6, msg=name)


@pytest.mark.parametrize("labels", [LABELS, ["Good Bad", "Bad Good", "Bad Bad"]], ids=["one-mask", "two-masks"])
def test_ranking_equals_single_passes_in_any_batch(place, tokenizer, labels):
    loaded = load(place.student, None, CPU)
    encode = loaded.encoder(Prompt(text="{x}"))
    prompts = [encode(text, 64) for text in TEXTS]
    ids = [tokenizer.encode(label, add_special_tokens=False) for label in labels]
    expected, mass = np.empty((len(TEXTS), len(labels))), np.empty(len(TEXTS))
    with torch.no_grad():
        for number, prompt in enumerate(prompts):
            read = [*prompt, *[tokenizer.mask_token_id] * len(ids[0]), tokenizer.sep_token_id]
            row = {"input_ids": read, "labels": [IGNORED] * len(read)}
            log_probs = at_masks(loaded.model, row, tokenizer.mask_token_id)[0].log_softmax(-1)
            for column, label in enumerate(ids):
                expected[number, column] = float(log_probs[range(len(label)), label].mean())
            mass[number] = float(log_probs[0, sorted({label[0] for label in ids})].exp().sum())
    found = rank_all(loaded, prompts, dict(zip(labels, ids, strict=True)))
    np.testing.assert_allclose(found.mean_log_prob, expected, atol=1e-5)
    np.testing.assert_allclose(found.label_mass, mass, atol=1e-5)
    for budget in (1, 20, 40):
        pieces = list(score_at_masks(loaded, prompts, ids, token_budget=budget))
        assert sorted(index for batch, _ in pieces for index in batch) == list(range(len(TEXTS)))
        for batch, scores in pieces:
            np.testing.assert_allclose(scores.mean_log_prob, expected[batch], atol=1e-5)
        again = list(score_at_masks(loaded, prompts, ids, done={pieces[0][0][0]}, token_budget=budget))
        whole, resumed = ({i: tuple(row) for b, s in each for i, row in zip(b, s.mean_log_prob, strict=True)}
                          for each in (pieces, again))  # fmt: skip
        assert resumed == {index: row for index, row in whole.items() if index != pieces[0][0][0]}


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ([[9], [9, 8]], "different numbers of tokens .* tell a masked model the answer: give them words of one length"),
        ([[9], []], "each of one token at least"),
        ([[9], [9]], "two labels are the same tokens"),
    ],
)
def test_labels_that_cannot_be_compared_are_refused(place, labels, problem):
    with pytest.raises(UserError, match=problem):
        score_at_masks(load(place.student, None, CPU), [[2, 9]], labels)


def test_a_prompt_beyond_the_models_positions_is_refused(tmp_path):
    short = load(make_masked_directory(tmp_path / "short", max_position_embeddings=8), None, CPU)
    with pytest.raises(UserError, match="prompt 1 has 9 tokens with its masks, but the model reads at most 8"):
        score_at_masks(short, [[2] * 6, [2] * 7], [[9], [8]])


@pytest.fixture(scope="module")
def stores(place, tmp_path_factory):
    """Stored distributions over labels: of a teacher with the student's tokens, and of one with others."""
    options = {"codec": "labels", "k": None, "labels": LABELS, "rest_bucket": True, "temperature": TEMPERATURE}
    return {
        teacher: capture(
            tmp_path_factory.mktemp(teacher), [place.file], getattr(place, teacher), place.student, **options
        )
        for teacher in ("teacher", "causal")
    }


def class_log_probs(place, teacher, text):
    """Log-probabilities [labels] of a teacher's own tokens behind its own rendering of a prompt, in float64."""
    model, tokenizer = load_base_model(getattr(place, teacher), CPU), load_tokenizer(getattr(place, teacher))
    if teacher == "causal":
        turn = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
        )
        logits = model(torch.tensor([tokenizer.encode(turn)])).logits[0, -1]
    else:
        logits = at_masks(
            model, RowEncoder(tokenizer, 64, Reading("masked")).answer(text, "Good"), tokenizer.mask_token_id
        )[0][0]
    ids = [tokenizer.encode(label, add_special_tokens=False)[0] for label in LABELS]
    return (logits.double() / TEMPERATURE).log_softmax(-1)[ids]


@pytest.mark.parametrize("teacher", ["teacher", "causal"])
@torch.no_grad()
def test_each_model_reads_its_own_tokens_and_only_classes_are_compared(place, stores, tokenizer, rows, teacher):
    store = DistributionStore(stores[teacher])
    assert store.codec.over == [tokenizer.convert_tokens_to_ids(label.lower()) for label in LABELS]
    target = store.target([store.key(row) for row in rows])
    expected = torch.stack([class_log_probs(place, teacher, text) for text in TEXTS])
    torch.testing.assert_close(target.log_probs.double(), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(target.rest.double().exp(), 1 - expected.exp().sum(1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("teacher", ["teacher", "causal"])
@torch.no_grad()
def test_evaluation_and_agreement_are_over_labels(tmp_path, place, stores, tokenizer, rows, teacher):
    model, source = load_base_model(place.student, CPU), CachedTeacher(DistributionStore(stores[teacher]), "bucket")
    kl, agreed, nll = 0.0, 0, 0.0
    ids = source.over
    for row, text in zip(rows, TEXTS, strict=True):
        logits, answer = at_masks(model, row, tokenizer.mask_token_id)
        log_q = (logits[0] / TEMPERATURE).log_softmax(-1)[ids]
        log_p = class_log_probs(place, teacher, text)
        both = [torch.cat([each, (1 - each.exp().sum())[None].log()]) for each in (log_p, log_q)]
        kl += float((both[0].exp() * (both[0] - both[1])).sum())
        agreed += int(log_p.argmax() == log_q.argmax())
        nll += float(cross_entropy(logits, answer, reduction="sum"))
    options = {"kd_rate": KD_RATE, "temperature": TEMPERATURE, "chunk": 2}
    job = make_job(tmp_path, "fkl", tokenizer, options, SGD, learning_rate=0.05, max_steps=1, batch_size=2)
    trainer = make_trainer(job, model, source.prepare(rows, place.file), data=TaughtData, teacher=source)
    found, n = trainer.evaluate(), len(rows)
    assert found["eval_kl"] == pytest.approx(kl / n, rel=1e-3)
    assert found["eval_divergence"] == pytest.approx(kl / n, rel=1e-3)
    assert found["eval_agreement"] == pytest.approx(agreed / n)
    measured = Agreement(stores[teacher], place.file)(load(place.student, None, CPU))
    expected = {"kl": kl / n, "agreement": agreed / n, "student_nll": nll / n}
    assert {name: measured[name] for name in expected} == pytest.approx(expected, rel=1e-3)
    assert (measured["tokens"], measured["codec"], measured["tail"]) == (n, "labels", "labels and rest")


def test_a_masked_student_learns_classes_from_a_teacher_with_other_tokens(tmp_path, place, stores, tokenizer, rows):
    student, source = (
        load_base_model(place.student, CPU, training=True),
        CachedTeacher(DistributionStore(stores["causal"]), "bucket"),
    )
    options = {"kd_rate": 1.0, "temperature": TEMPERATURE}
    job = make_job(tmp_path, "fkl", tokenizer, options, SGD, learning_rate=0.3, max_steps=30, batch_size=len(rows))
    trainer = make_trainer(job, student, source.prepare(rows, place.file), data=TaughtData, teacher=source)
    before = trainer.evaluate()["eval_kl"]
    trainer.train()
    assert trainer.evaluate()["eval_kl"] < before / 4


@pytest.mark.parametrize("plan", [CPU, replace(CPU, quantization="nf4")], ids=["lora", "qlora"])
def test_adapters_learn_labels_at_masks(tmp_path, place, tokenizer, rows, plan):
    torch.manual_seed(0)
    model = add_adapter(load_base_model(place.student, plan, training=True), LoraConfig(r=4, dropout=0.0), plan)
    size = {"learning_rate": 0.02, "max_steps": 25, "batch_size": len(rows), "adaptation": "lora"}
    trainer = make_trainer(make_job(tmp_path, "sft", tokenizer, {}, plan, **size), model, rows)
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < before - 1


def test_it_says_and_replies_with_its_likeliest_label(tmp_path, place):
    task, asking = TASKS["creditmix"], asking_about("creditmix", max_prompt_tokens=60, max_new_tokens=4)
    loaded = load(place.student, None, CPU)
    prompts = {text: asking.prompt.fill({"features": text}) for text in TEXTS}
    with CostMeter(tmp_path / "cost.json") as cost:
        said = label_half.say(task, loaded, asking, prompts, Work(tmp_path, cost, "teacher"))
    answers = {key: each.outputs for key, each in said.items()}
    assert answers == {key: [max(each.label_scores, key=each.label_scores.get)] for key, each in said.items()}
    plain = asking.model_copy(update={"answers": {"calibration": "none"}})
    for text, question in prompts.items():
        [(_, reply)] = label_half.replies(task, loaded, plain, [Question(question)], None)
        assert [reply["prediction"]] == said[text].outputs
        assert reply["raw_scores"] == pytest.approx(said[text].label_scores, abs=1e-5)
