"""Trainers that learn from a teacher against plain loops: full logits, one row at a time, plain formulas, float64."""

import functools
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
import torch

from pipestill.errors import UserError
from pipestill.io.files import write_sha256sums
from pipestill.models.adapters import add_adapter
from pipestill.models.hardware import HardwarePlan
from pipestill.models.loading import load_tokenizer
from pipestill.models.rows import IGNORED, RowEncoder, read_answers, supervised
from pipestill.objectives.divergence.make_teacher import make_teacher as make_teacher_of_job
from pipestill.objectives.divergence.teachers import ForeignTeacher, OnlineTeacher
from pipestill.objectives.divergence.train import TaughtData
from pipestill.settings.training import LoraConfig
from pipestill.training.callbacks import Schedule
from pipestill.training.files import Inputs
from support.distributions import capture as capture_distributions
from support.models import make_model, make_tokenizer
from support.training_job import make_job, make_trainer

SGD = HardwarePlan("cpu", optimizer="sgd")  # differences stay in proportion, which Adam's division would not keep
ANSWERS = ["Good", "Standard deviation of the debt", "Bad", "Good", "Bad Bad Bad", "Standard", "Good", "Bad 12 34 56"]
TEMPERATURE, KD_RATE, PADDING = 2.0, 0.3, 24
TOKENIZER = make_tokenizer()
VOCABULARY = len(TOKENIZER)


def write_rows(path):
    """Prompts and answers of unequal lengths."""
    lines = [
        {"input": f"Age: {20 + i}.0, Outstanding Debt: {'9' * i}", "output": answer} for i, answer in enumerate(ANSWERS)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def make_student(**config):
    return make_model(VOCABULARY, seed=3, **config)


def make_teacher(dropout=0.0):
    """Another size than the student's, a head padded with rows that are likely, and dropout that must be off."""
    model = make_model(VOCABULARY + PADDING, seed=4, hidden_size=96, attention_dropout=dropout)
    with torch.no_grad():
        model.get_output_embeddings().weight[VOCABULARY:] *= 5
    return model.train()


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """Student and teacher as base models on disk, and rows as a training file."""
    place = tmp_path_factory.mktemp("models")
    for name, model in (("student", make_student()), ("teacher", make_teacher())):
        model.save_pretrained(place / name)
        TOKENIZER.save_pretrained(place / name)
        write_sha256sums(place / name)
    write_rows(place / "rows.jsonl")
    return SimpleNamespace(student=place / "student", teacher=place / "teacher", rows=place / "rows.jsonl")


@pytest.fixture(scope="module")
def rows(directories):
    return read_answers(directories.rows, RowEncoder(load_tokenizer(directories.student), 128))


def trainer_for(tmp_path, model, teacher, rows, kind="fkl", plan=SGD, held_out=None, divergence=(), **training):
    options = {"kd_rate": KD_RATE, "temperature": TEMPERATURE, "chunk": 5} | dict(divergence)
    job = make_job(tmp_path, kind, TOKENIZER, options, plan, **({"learning_rate": 0.05} | training))
    trainer = make_trainer(job, model, rows, held_out, TaughtData, teacher=teacher)
    trainer.add_callback(Schedule(job.settings.training.evaluations, job.settings.training.saves, trainer.batches))
    return trainer


def flat(model):
    return torch.cat([tensor.detach().flatten() for tensor in model.parameters()])


def logits_of(model, row, vocabulary=VOCABULARY):
    """Logits [answer, vocab] that predict a row's answer, from all logits of the row by itself, in float64."""
    start = sum(label == IGNORED for label in row["labels"])
    whole = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :, :vocabulary].double()
    return whole[start - 1 : -1], torch.tensor(row["input_ids"][start:])


def forward_divergence(student, teacher):
    p, log_q = (teacher / TEMPERATURE).softmax(-1), (student / TEMPERATURE).log_softmax(-1)
    return (p * ((teacher / TEMPERATURE).log_softmax(-1) - log_q)).sum()


def reverse_divergence(student, teacher):
    return forward_divergence(teacher, student)


def jeffreys(student, teacher):
    return forward_divergence(student, teacher) + reverse_divergence(student, teacher)


FORMULAS = {"fkl": forward_divergence, "rkl": reverse_divergence, "jeffreys": jeffreys}


def expected_parts(model, teacher, rows, kind):
    """Cross-entropy, divergence, forward divergence and agreement, means over all tokens of the answers."""
    sums, tokens = torch.zeros(4, dtype=torch.float64), 0
    for row in rows:
        student, answer = logits_of(model, row)
        with torch.no_grad():
            reference, _ = logits_of(teacher, row)
        each = [
            torch.nn.functional.cross_entropy(student, answer, reduction="sum"),
            FORMULAS[kind](student, reference),
            forward_divergence(student, reference),
            (student.argmax(-1) == reference.argmax(-1)).sum(),
        ]
        sums, tokens = sums + torch.stack([value.double() for value in each]), tokens + len(answer)
    return sums / tokens


@pytest.mark.parametrize(
    ("kind", "batch_size", "accumulation", "used"), [("fkl", 2, 1, 8), ("rkl", 2, 3, 7), ("jeffreys", 1, 2, 3)]
)
def test_training_equals_a_plain_loop(tmp_path, rows, kind, batch_size, accumulation, used):
    """Partial batches and accumulations count by their tokens; prompts, padding and padded heads do not count."""
    rows = rows[:used]
    model, expected, teacher = make_student(), make_student(), make_teacher()
    before = flat(teacher)
    trainer = trainer_for(
        tmp_path, model, OnlineTeacher(teacher, VOCABULARY), rows, kind,
        epochs=2, batch_size=batch_size, accumulation_steps=accumulation, evaluations=2,
    )  # fmt: skip
    trainer.train()
    losses, evaluations = [], []
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.05)
    for epoch in range(2):
        trainer.batches.epoch = epoch
        batches = list(trainer.batches)
        for start in range(0, len(batches), accumulation):
            step = [rows[index] for batch in batches[start : start + accumulation] for index in batch]
            cross_entropy, divergence, _, _ = expected_parts(expected, teacher, step, kind)
            loss = (1 - KD_RATE) * cross_entropy + KD_RATE * divergence
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append([loss.item(), cross_entropy.item(), divergence.item()])
        with torch.no_grad():
            parts = expected_parts(expected, teacher, rows, kind)
        evaluations.append([((1 - KD_RATE) * parts[0] + KD_RATE * parts[1]).item(), *parts.tolist()])
    history = trainer.history()
    names = ("loss", "cross_entropy", "divergence")
    assert [[row[name] for name in names] for row in history if "loss" in row] == [
        pytest.approx(step, rel=1e-5) for step in losses
    ]
    names = [f"eval_{name}" for name in (*names, "kl", "agreement")]
    assert [[row[name] for name in names] for row in history if "eval_loss" in row] == [
        pytest.approx(evaluation, rel=1e-5) for evaluation in evaluations
    ]
    for (name, ours), theirs in zip(model.named_parameters(), expected.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=2e-6), name
    assert torch.equal(flat(teacher), before)
    assert all(tensor.grad is None for tensor in teacher.parameters())


def measure(tmp_path, model, teacher, rows, **arguments):
    """History of a run, and the weights after it."""
    trainer = trainer_for(tmp_path, model, teacher, rows, **arguments)
    trainer.train()
    return trainer.history(), {
        name: tensor.detach() for name, tensor in model.named_parameters() if tensor.requires_grad
    }


def one_step(tmp_path, rows, model, teacher=None, **arguments):
    """One step over all rows, beside the teacher."""
    teacher = OnlineTeacher(teacher or make_teacher(), VOCABULARY)
    return measure(tmp_path, model, teacher, rows, **({"max_steps": 1, "batch_size": 8} | arguments))


def assert_equal(first, second, rel=1e-5, atol=1e-6):
    for ours, theirs in zip(first[0], second[0], strict=True):
        assert ours == pytest.approx(theirs, rel=rel)
    for name, tensor in first[1].items():
        assert torch.allclose(tensor, second[1][name], rtol=0, atol=atol), name


@pytest.mark.parametrize(("batch_size", "accumulation_steps", "chunk"), [(2, 4, 128), (1, 8, 1)])
def test_accumulation_and_chunks_change_nothing(tmp_path, rows, batch_size, accumulation_steps, chunk):
    whole = one_step(tmp_path, rows, make_student(), kind="todi")
    parts = one_step(
        tmp_path, rows, make_student(), kind="todi",
        divergence={"chunk": chunk}, batch_size=batch_size, accumulation_steps=accumulation_steps,
    )  # fmt: skip
    assert_equal(whole, parts)
    assert any(not torch.equal(tensor, whole[1][name]) for name, tensor in make_student().named_parameters())


def test_the_teacher_has_no_dropout(tmp_path, rows):
    assert_equal(
        one_step(tmp_path, rows, make_student(), make_teacher(dropout=0.0)),
        one_step(tmp_path, rows, make_student(), make_teacher(dropout=0.9)),
    )


def test_gradient_checkpointing_changes_nothing(tmp_path, rows):
    plain = one_step(tmp_path, rows, make_student(), kind="jsd")
    assert_equal(plain, one_step(tmp_path, rows, make_student(), kind="jsd", gradient_checkpointing=True))


def make_adapted():
    torch.manual_seed(0)
    model = add_adapter(make_student(), LoraConfig(dropout=0.0), SGD)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "lora_B" in name:
                tensor.normal_(std=0.05)
    return model


def test_adapters_learn_and_the_rest_stays(tmp_path, rows):
    """The gradient of the adapters is that of the same loss written down plainly, activations kept or not."""
    model, expected, teacher = make_adapted(), make_adapted(), make_teacher()
    frozen = {name: tensor.clone() for name, tensor in model.named_parameters() if not tensor.requires_grad}
    _, weights = one_step(tmp_path, rows, model, teacher, kind="rkl", adaptation="lora", gradient_checkpointing=True)
    cross_entropy, divergence, _, _ = expected_parts(expected.eval(), teacher.eval(), rows, "rkl")
    ((1 - KD_RATE) * cross_entropy + KD_RATE * divergence).backward()
    for name, tensor in expected.named_parameters():
        if tensor.requires_grad:
            assert torch.allclose(weights[name], tensor - 0.05 * tensor.grad, atol=1e-6), name
        else:
            assert torch.equal(dict(model.named_parameters())[name], frozen[name]), name


def test_bf16_autocast_is_close_to_fp32(tmp_path, rows):
    bf16 = HardwarePlan("cpu", precision="bf16", optimizer="sgd")
    exact, rough = (one_step(tmp_path, rows, make_student(), plan=plan, kind="todi") for plan in (SGD, bf16))
    assert_equal(rough, exact, rel=0.03, atol=2e-3)
    assert exact[0][0]["loss"] != rough[0][0]["loss"]
    assert all(tensor.dtype == torch.float32 for tensor in rough[1].values())


def test_a_teacher_with_capped_logits_is_compared_by_its_logits(tmp_path, rows):
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(1)
    shape = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, head_dim=8)
    special = dict(bos_token_id=0, eos_token_id=2, pad_token_id=0)
    config = Gemma2Config(vocab_size=VOCABULARY, num_key_value_heads=2, final_logit_softcapping=2.0, **shape, **special)
    teacher = Gemma2ForCausalLM(config)
    with torch.no_grad():
        teacher.get_output_embeddings().weight.normal_(std=1.0)  # logits far beyond the cap
    history, _ = one_step(tmp_path, rows, make_student(), teacher, kind="fkl")
    with torch.no_grad():
        expected = expected_parts(make_student(), teacher, rows, "fkl")
    assert [history[0][name] for name in ("cross_entropy", "divergence")] == pytest.approx(
        expected[:2].tolist(), rel=1e-5
    )
    with pytest.raises(UserError, match=r"more than a linear map .* use another student, or `kd`"):
        trainer_for(tmp_path, teacher, OnlineTeacher(make_teacher(), VOCABULARY), rows)


@pytest.fixture(scope="module")
def capture(directories, tmp_path_factory):
    """A function that captures the teacher's distributions of the rows; each kind of store once."""

    @functools.cache
    def run(codec, shards=1, **options):
        given = {"k": None} | {name: list(v) if name == "labels" else v for name, v in options.items()}
        return capture_distributions(
            tmp_path_factory.mktemp("store"), [directories.rows], directories.teacher, directories.student, shards,
            codec=codec, temperature=TEMPERATURE, max_length=128, **given,
        )  # fmt: skip

    return run


def teacher_of(directories, rows, kind="fkl", distributions=None, tokenizer=None, **divergence):
    """The teacher that a training job makes of its settings and files, and its rows."""
    source = {"teacher": "cached" if distributions else "online", "temperature": TEMPERATURE}
    inputs = Inputs(
        directories.rows, directories.rows, directories.student,
        teacher_base=None if distributions else directories.teacher, distributions=distributions,
    )  # fmt: skip
    tokenizer = tokenizer or load_tokenizer(directories.student)
    with TemporaryDirectory() as place:
        job = make_job(Path(place), kind, tokenizer, source | divergence, SGD, inputs)
    teacher = make_teacher_of_job(job.objective, job)
    return teacher, teacher.prepare(rows, directories.rows)


@pytest.mark.parametrize("kind", ["fkl", "todi", "akl"])
def test_all_stored_log_probabilities_train_as_the_teacher_beside_the_student_does(
    tmp_path, rows, directories, capture, kind
):
    settings = dict(kind=kind, batch_size=3, epochs=2, evaluations=2)
    online, cached = (
        measure(tmp_path, make_student(), *teacher_of(directories, rows, kind, distributions), **settings)
        for distributions in (None, capture("full", shards=2))
    )
    assert len(online[0]) == 8
    assert_equal(online, cached)


@pytest.mark.parametrize(
    ("kind", "given", "used"),
    [("fkl", "auto", "bucket"), ("jsd", "auto", "unigram"), ("jsd", "bucket", "bucket")],
)
def test_the_likeliest_tokens_are_near_to_all_of_them(tmp_path, rows, directories, capture, kind, given, used):
    """With 300 tokens little is left to the tail; the kind's default, or the settings, say what is made of it."""
    stores = capture("full"), capture("topk", k=300)
    exact, near = (teacher_of(directories, rows, kind, store, tail=given) for store in stores)
    assert near[0].tail == used
    settings = dict(kind=kind, batch_size=4, epochs=1, evaluations=1)
    exact, near = (measure(tmp_path, make_student(), *each, **settings) for each in (exact, near))
    for ours, theirs in zip(near[0], exact[0], strict=True):
        assert ours == pytest.approx(theirs, rel=0.02)
    assert near[0] != exact[0]
    assert near[0][-1]["eval_agreement"] == exact[0][-1]["eval_agreement"]  # the likeliest token is stored exactly


def test_closeness_to_the_teacher_is_measured_alike_whatever_the_tail(tmp_path, rows, directories, capture):
    stores = capture("topk", k=20)
    model = make_student()
    found = []
    for tail in ("bucket", "unigram"):
        teacher, keyed = teacher_of(directories, rows, "rkl", stores, tail=tail)
        trainer = trainer_for(tmp_path, model, teacher, keyed, "rkl")
        found.append(trainer.evaluate())
    assert found[0]["eval_kl"] == pytest.approx(found[1]["eval_kl"], rel=1e-6)
    assert found[0]["eval_divergence"] != pytest.approx(found[1]["eval_divergence"], rel=1e-3)


def test_draws_train_on_the_forward_divergence(tmp_path, rows, directories, capture):
    teacher, keyed = teacher_of(directories, rows, "fkl", capture("sample", draws=500))
    drawn = measure(tmp_path, make_student(), teacher, keyed, max_steps=1, batch_size=8)[0]
    exact = one_step(tmp_path, rows, make_student())[0]
    assert drawn[0]["loss"] == pytest.approx(exact[0]["loss"], rel=0.05)


def test_classes_are_compared_at_the_first_token_of_each_answer(tmp_path, rows, directories, capture):
    labels = ("Good", "Standard", "Bad")
    ids = [TOKENIZER.encode(label)[0] for label in labels]
    stored = capture("labels", labels=labels, rest_bucket=False)
    teacher, keyed = teacher_of(directories, rows, "jeffreys", stored)
    student, other = make_student(), make_teacher().eval()
    found = trainer_for(tmp_path, student, teacher, keyed, "jeffreys").evaluate()
    firsts = [[logits_of(model, row)[0][0, ids] for model in (student, other)] for row in rows]
    tokens = sum(len(supervised(row["labels"])) for row in rows)
    with torch.no_grad():
        both = sum(float(jeffreys(*each)) for each in firsts)
        forward = sum(float(forward_divergence(*each)) for each in firsts)
    agreed = sum(int(own.argmax() == theirs.argmax()) for own, theirs in firsts)
    assert found["eval_divergence"] == pytest.approx(both / tokens, rel=1e-4)
    assert found["eval_kl"] == pytest.approx(forward / len(rows), rel=1e-4)
    assert found["eval_agreement"] == pytest.approx(agreed / len(rows))
    assert found["eval_loss"] == pytest.approx(
        (1 - KD_RATE) * found["eval_cross_entropy"] + KD_RATE * found["eval_divergence"], rel=1e-5
    )


REFUSED = {
    "temperature": (dict(temperature=1.0), {}, r"captured at temperature 2, not 1: capture them again, or set"),
    "draws": ({}, dict(codec="sample", draws=9), r"`sample` serve only `fkl`; use `topk` or `full` for `rkl`"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_stored_distributions_that_do_not_fit_are_refused(directories, rows, capture, case):
    settings, store, sentence = REFUSED[case]
    with pytest.raises(UserError, match=sentence):
        teacher_of(directories, rows, "rkl", capture(**({"codec": "full"} | store)), **settings)


def test_rows_that_are_not_stored_are_found_before_the_work(directories, rows, capture):
    longer = rows[0] | {"input_ids": [*rows[0]["input_ids"], 5], "labels": [*rows[0]["labels"], 5]}
    with pytest.raises(UserError, match="holds no distributions of a row that is asked for"):
        teacher_of(directories, [*rows, longer], "fkl", capture("full"))


def test_other_tokens_are_refused(directories, rows, capture):
    other = make_tokenizer()
    other.add_tokens(["<new>"])
    with pytest.raises(UserError, match="use the method `kd`"):
        teacher_of(directories, rows, tokenizer=other)
    with pytest.raises(UserError, match="captured with another tokenizer than the student's"):
        teacher_of(directories, rows, distributions=capture("full"), tokenizer=other)


def universal_distance(student, teacher):
    """Sorted probabilities, zeros where there are none, place by place (Boizard et al. 2024)."""
    both = torch.zeros(2, min(len(student), len(teacher)), VOCABULARY + 2, dtype=torch.float64)
    for filled, logits in zip(both, (student, teacher), strict=True):
        filled[:, : logits.shape[1]] = (logits[: both.shape[1]] / TEMPERATURE).softmax(-1).sort(-1, descending=True)[0]
    return (both[0] - both[1]).abs().sum()


def test_a_teacher_with_other_tokens_is_compared_place_by_place(tmp_path, rows, directories):
    """It splits the same texts into single bytes, has two tokens more, and a padded head."""
    base = tmp_path / "foreign"
    TOKENIZER.save_pretrained(base)
    content = json.loads((base / "tokenizer.json").read_text())
    content["model"]["merges"] = []
    (base / "tokenizer.json").write_text(json.dumps(content))
    tokenizer = load_tokenizer(base)
    tokenizer.add_tokens(["<a>", "<b>"])
    model = make_teacher()
    encoder = RowEncoder(tokenizer, 128)
    teacher = ForeignTeacher(model, encoder, VOCABULARY)
    prepared = teacher.prepare(rows, directories.rows)
    history, _ = measure(tmp_path, make_student(), teacher, prepared, kind="uld", max_steps=1, batch_size=8)

    theirs = read_answers(directories.rows, encoder)
    assert all(len(own["input_ids"]) < len(other["input_ids"]) for own, other in zip(rows, theirs, strict=True))
    sums, tokens = torch.zeros(2, dtype=torch.float64), 0
    with torch.no_grad():
        for own, other in zip(rows, theirs, strict=True):
            student, answer = logits_of(make_student(), own)
            reference, _ = logits_of(model, other, VOCABULARY + 2)
            cross_entropy = torch.nn.functional.cross_entropy(student, answer, reduction="sum")
            sums += torch.stack([cross_entropy, universal_distance(student, reference)])
            tokens += len(answer)
    assert [history[0][name] for name in ("cross_entropy", "divergence")] == pytest.approx(
        (sums / tokens).tolist(), rel=1e-5
    )
    assert {name for row in history for name in row if name.startswith("eval_")} == {
        "eval_loss", "eval_cross_entropy", "eval_divergence"
    }  # fmt: skip
