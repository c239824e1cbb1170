"""Context distillation: what the teacher reads of each row, what is stored of it, and what the student learns."""

from collections import Counter
from random import Random
from types import SimpleNamespace

import pytest
import torch

from pipestill.answers.demonstrations import Demonstrations
from pipestill.errors import UserError
from pipestill.evaluation.evaluate import _teacher
from pipestill.io.files import read_json, write_json
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.losses import IGNORED
from pipestill.methods import METHODS
from pipestill.models.hardware import HardwarePlan
from pipestill.models.kinds import Reading
from pipestill.models.loading import load_base_model, load_tokenizer
from pipestill.models.rows import read_answers, supervised
from pipestill.objectives.divergence.teachers import CachedTeacher
from pipestill.objectives.divergence.train import TaughtData
from pipestill.objectives.training_file import made_rows, separated
from pipestill.settings.contexts import TeacherContext
from pipestill.settings.jobs import TrainingFileSettings
from pipestill.settings.prompts import Prompt
from pipestill.tasks import TASKS
from pipestill.teacher.context_accuracy import context_accuracy
from pipestill.teacher.distributions.store import DistributionStore
from support.distributions import capture, capture_one
from support.models import CPU, make_directory
from support.training_job import make_job, make_trainer

CREDITMIX = TASKS["creditmix"]
LABELS = CREDITMIX.answers.labels
ASKED = Prompt(text="{features} mix:", render="raw")
CHAT = Prompt(text="{features}")
HINT = Prompt(text="{features} is {label}, mix:", render="raw", privileged=True)
WORDED = HINT.model_copy(update={"verbalizers": {"Good": "9", "Standard": "Scientist", "Bad": "Debt"}})
SHOTS, TEMPERATURE = 4, 2.0
ROUNDING = 5e-5  # of log-probabilities of this teacher in single precision
SGD = HardwarePlan("cpu", optimizer="sgd")


def make_records() -> list[Record]:
    draw, found = Random(0), []
    for split, count in (("train", 21), ("validation", 6), ("test", 6), ("teacher", 6)):
        for number in range(count):
            label = LABELS[number % 3]
            inputs = {"features": f"Age: {draw.randint(18, 80)}.0 {'9' * draw.randint(1, 12)}{number}"}
            found.append(Record(f"{split}{number}", split, inputs, label, [label], prompt="-"))
    return found


RECORDS = make_records()
BY_ID = {record.id: record for record in RECORDS}


def context_of(prompt=ASKED, shots=SHOTS, **settings) -> TeacherContext:
    return TeacherContext(**{"prompt": prompt, "shots": shots, "seed": 5} | settings)


def rows_of(context, prompt=ASKED):
    """Training and validation rows of `cd`."""
    settings = TrainingFileSettings(task="creditmix", method="cd", seed=1, rows=18, prompt=prompt, context=context)
    return separated(made_rows(CREDITMIX, METHODS["cd"].objective, settings, RECORDS, None, None))


@pytest.mark.parametrize("draws", [1, 3])
def test_a_row_is_never_its_own_demonstration(draws):
    train, validation = rows_of(context_of(draws=draws))
    own = {row["id"] for row in train}
    assert len(own) == 18 and len(validation) == 6
    for row in (*train, *validation):
        assert row["id"] not in row["demonstrations"] and set(row["demonstrations"]) <= own
        assert len(set(row["demonstrations"])) == len(row["demonstrations"]) == SHOTS
    orders = {tuple(row["demonstrations"]) for row in validation}
    assert len(orders) <= draws and (draws == 1 or len(orders) > 1)
    shown = Counter(tuple(BY_ID[name].target for name in row["demonstrations"]) for row in train)
    assert len(shown) <= draws  # which row is left out does not show in the labels of the others


def test_draws_are_those_of_seeds_one_after_another():
    train, validation = rows_of(context_of(draws=3))
    pool = [BY_ID[row["id"]] for row in train]
    drawn = [Demonstrations(pool, CREDITMIX.answers, seed) for seed in (5, 6, 7)]
    used = set()
    for row in (*train, *validation):
        found = [[each.id for each in draw.take(SHOTS, without=row["id"])] for draw in drawn]
        assert row["demonstrations"] in found
        used.add(found.index(row["demonstrations"]))
    assert used == {0, 1, 2}
    assert rows_of(context_of(draws=3)) == (train, validation)
    assert rows_of(context_of(draws=3, seed=6)) != (train, validation)


def test_more_shots_than_other_rows_are_refused():
    assert rows_of(context_of(shots=17))
    with pytest.raises(UserError, match="18 demonstrations are asked for, and there are 17 training rows"):
        rows_of(context_of(shots=18))


@pytest.mark.parametrize("shots", [0, SHOTS])
def test_the_gold_answer_is_shown_to_the_teacher_alone(shots):
    for row in (row for rows in rows_of(context_of(HINT, shots)) for row in rows):
        record = BY_ID[row["id"]]
        assert row["input"] == f"{record.inputs['features']} mix:" and row["output"] == f" {record.target}"
        assert row["question"] == f"{record.inputs['features']} is {record.target}, mix:"
        assert not any(label in row["input"] for label in LABELS) and len(row["demonstrations"]) == shots


def test_what_the_student_reads_has_no_context():
    plain = {row["id"]: row for rows in rows_of(context_of(shots=0)) for row in rows}
    for row in (row for rows in rows_of(context_of(instruction="Tell.")) for row in rows):
        same = ("id", "input", "output", "question", "answer")
        assert {key: row[key] for key in same} == {key: plain[row["id"]][key] for key in same}
        assert row["question"] == row["input"] and row["answer"] == row["output"]


def test_words_are_those_of_each_prompt():
    train, _ = rows_of(context_of(WORDED))
    for row in train:
        record = BY_ID[row["id"]]
        assert row["answer"] == f" {WORDED.verbalizers[record.target]}" and row["output"] == f" {record.target}"
        assert f"is {WORDED.verbalizers[record.target]}, mix:" in row["question"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A student, and a teacher that is another model with the same tokens."""
    directory = tmp_path_factory.mktemp("cd")
    make_directory(directory / "student")
    make_directory(directory / "teacher", seed=1, initializer_range=0.3)
    return directory


def write(directory, context, prompt=ASKED):
    """The training file of a context and its validation rows."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / "cd.jsonl", directory / "validation.jsonl"]
    for path, rows in zip(paths, rows_of(context, prompt), strict=True):
        write_jsonl(path, rows)
    return paths


def options_of(context, codec="full", asked=ASKED, **more):
    """Settings of the capture."""
    if codec == "labels":
        read = [context.prompt.answer(label) for label in LABELS]
        more = {"rest_bucket": True, "labels": [asked.answer(label) for label in LABELS], "read_labels": read} | more
    k = 12 if codec == "topk" else None
    settings = {"context": context.model_dump(), "form": asked.form.model_dump(), "temperature": TEMPERATURE}
    return {"codec": codec, "k": k, **settings, **more}


def store_of(place, directory, context, asked=ASKED, **options):
    """The store of a context, and the file of its training rows."""
    data = write(directory, context, asked)
    manifest = capture(
        directory, data, place / "teacher", place / "student", **options_of(context, asked=asked, **options)
    )
    return DistributionStore(manifest), data


def whole_text(row, rows, context):
    """What the teacher reads of a row, as one text."""
    solved = {each["id"]: f"{each['question']}{each['answer']}" for each in rows}
    parts = [*([context.instruction] if context.instruction else []), *(solved[name] for name in row["demonstrations"])]
    return context.prompt.separator.join([*parts, row["question"]])


def whole_chat(tokenizer, row, rows, context):
    """The same as messages of the template."""
    solved = {each["id"]: (each["question"], each["answer"]) for each in rows}
    said = [text for name in row["demonstrations"] for text in solved[name]] + [row["question"]]
    if context.instruction:
        said[0] = f"{context.instruction}\n{said[0]}"
    messages = [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(said)]
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)


@torch.no_grad()
def expected_log_probs(place, data, context, asked):
    """Log-probabilities [tokens, vocab] of each row's answer, behind the whole of its context, in float64."""
    tokenizer = load_tokenizer(place / "teacher")
    model = load_base_model(place / "teacher", CPU).eval().double()
    rows = [row for path in data for row in read_jsonl(path)]
    found = {}
    for row in rows:
        raw = asked.render == "raw"
        text = whole_text(row, rows, context) if raw else whole_chat(tokenizer, row, rows, context)
        prompt = tokenizer.encode(text, add_special_tokens=False)
        answer = [*tokenizer.encode(row["answer"], add_special_tokens=False), tokenizer.eos_token_id]
        logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1, : len(tokenizer)]
        found[row["id"]] = (logits / TEMPERATURE).log_softmax(-1)
    return found


CONTEXTS = {
    "demonstrations": context_of(),
    "instruction": context_of(shots=0, instruction="Tell the mix."),
    "hint": context_of(HINT, 0),
    "demonstrations+hint": context_of(HINT, instruction="Tell.", draws=2),
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_every_row_has_the_teachers_distributions_behind_its_context(place, tmp_path, name):
    context = CONTEXTS[name]
    store, data = store_of(place, tmp_path, context)
    expected, tokenizer = expected_log_probs(place, data, context, ASKED), load_tokenizer(place / "student")
    for path in data:
        for row in read_answers(path, store.encoder(tokenizer, Reading())):
            stored = store.target([store.key(row)]).logits(slice(None), len(tokenizer)) / TEMPERATURE
            torch.testing.assert_close(stored.double(), expected[row["id"]], rtol=0, atol=ROUNDING)


def test_chats_are_read_as_messages(place, tmp_path):
    context = context_of(CHAT, instruction="Tell.")
    store, data = store_of(place, tmp_path, context, CHAT)
    expected, tokenizer = expected_log_probs(place, data, context, CHAT), load_tokenizer(place / "student")
    for row in read_answers(data[0], store.encoder(tokenizer, Reading())):
        stored = store.target([store.key(row)]).logits(slice(None), len(tokenizer)) / TEMPERATURE
        torch.testing.assert_close(stored.double(), expected[row["id"]], rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("rest", [False, True], ids=["labels", "labels-and-rest"])
def test_labels_may_have_other_words_for_the_teacher(place, tmp_path, rest):
    context = context_of(WORDED)
    store, data = store_of(place, tmp_path, context, codec="labels", rest_bucket=rest)
    expected, tokenizer = expected_log_probs(place, data, context, ASKED), load_tokenizer(place / "student")
    read = [tokenizer.encode(WORDED.answer(label), add_special_tokens=False)[0] for label in LABELS]
    assert store.codec.over == [tokenizer.encode(ASKED.answer(label), add_special_tokens=False)[0] for label in LABELS]
    for row in read_answers(data[0], store.encoder(tokenizer, Reading())):
        target = store.target([store.key(row)])
        of_words = expected[row["id"]][:1, read]
        torch.testing.assert_close(target.log_probs.double(), of_words, rtol=0, atol=ROUNDING)
        if rest:
            torch.testing.assert_close(target.rest.double().exp(), 1 - of_words.exp().sum(1), rtol=0, atol=ROUNDING)


def test_the_likeliest_tokens_behind_the_context_are_stored(place, tmp_path):
    context = context_of()
    store, data = store_of(place, tmp_path, context, codec="topk")
    expected, tokenizer = expected_log_probs(place, data, context, ASKED), load_tokenizer(place / "student")
    for row in read_answers(data[0], store.encoder(tokenizer, Reading())):
        target = store.target([store.key(row)])
        assert torch.equal(target.ids, expected[row["id"]].topk(12).indices.sort(1).values)
        own = expected[row["id"]].gather(1, target.ids)
        torch.testing.assert_close(target.log_probs.double(), own, rtol=0, atol=0.03)
        torch.testing.assert_close(target.tail.double().exp(), 1 - own.exp().sum(1), rtol=0, atol=1e-3)


@pytest.mark.parametrize("codec", ["topk", "full"])
def test_other_words_cannot_be_compared_token_by_token(place, tmp_path, codec):
    with pytest.raises(UserError, match=r"the teacher's prompt has other words for the answer of train\d+ than"):
        store_of(place, tmp_path, context_of(WORDED), codec=codec)


def test_an_unknown_demonstration_is_named(place, tmp_path):
    context = context_of()
    data = write(tmp_path, context)
    rows = read_jsonl(data[1])
    write_jsonl(data[1], [rows[0] | {"demonstrations": ["gone"]}, *rows[1:]])
    with pytest.raises(UserError, match=r"validation\.jsonl, line 1 has no 'gone' to show the teacher: make"):
        capture_one(tmp_path, data, place / "teacher", place / "student", **options_of(context))


def test_a_context_that_the_teacher_cannot_read_is_refused(place, tmp_path):
    small = make_directory(tmp_path / "small", seed=1, max_position_embeddings=48)
    context = context_of(shots=9)
    with pytest.raises(UserError, match=r"reads at most 48: lower .* or the `shots` of its context"):
        capture_one(tmp_path, write(tmp_path, context), small, place / "student", **options_of(context))


def test_another_context_is_captured_anew(place, tmp_path):
    """In the same place, and to the bytes of a fresh capture."""

    def stored(directory, context):
        store_of(place, directory, context)
        return (directory / "shard_0.safetensors").read_bytes()

    first = stored(tmp_path / "a", context_of())
    assert stored(tmp_path / "a", context_of()) == first
    for changed in (
        context_of(shots=2),
        context_of(seed=6),
        context_of(instruction="Tell."),
        context_of(ASKED.model_copy(update={"separator": "\n##\n"})),
    ):
        again = stored(tmp_path / "a", changed)
        assert again != first
        assert again == stored(tmp_path / f"fresh{len(list(tmp_path.iterdir()))}", changed)
    assert stored(tmp_path / "a", context_of()) == first


@pytest.mark.parametrize("codec", ["full", "labels"])
def test_accuracy_of_the_teacher_is_that_of_its_likeliest_tokens(place, tmp_path, codec):
    context = context_of(instruction="Tell.")
    store, data = store_of(place, tmp_path, context, codec=codec)
    expected, tokenizer = expected_log_probs(place, data, context, ASKED), load_tokenizer(place / "student")
    ids = [tokenizer.encode(ASKED.answer(label), add_special_tokens=False)[0] for label in LABELS]
    right = tokens = first = 0
    for row in read_jsonl(data[0]):
        gold = [*tokenizer.encode(row["output"], add_special_tokens=False), tokenizer.eos_token_id]
        likeliest = expected[row["id"]].argmax(1).tolist()
        if codec == "labels":
            gold, likeliest = gold[:1], [ids[int(expected[row["id"]][0, ids].argmax())]]
        hits = [one == other for one, other in zip(gold, likeliest, strict=True)]
        right, tokens, first = right + sum(hits), tokens + len(hits), first + hits[0]
    found = context_accuracy(store.path, data[0], place / "student")
    assert found == pytest.approx({"rows": 18, "first": first / 18, "tokens": right / tokens})
    first, *others = read_jsonl(data[0])
    write_jsonl(data[0], [first | {"gold": None}, *others])  # its answer is the teacher's
    assert context_accuracy(store.path, data[0], place / "student")["rows"] == 17


@pytest.mark.parametrize(
    ("first", "sentence"),
    [
        (0.9, "The teacher with its context answers 90% of 18 training rows rightly."),
        (0.4, "The teacher with its context answers 40% of 18 training rows rightly, no better than one and the same "
              "label (33%): there is little to learn from it."),
    ],
)  # fmt: skip
def test_a_table_says_how_often_the_teacher_is_right(tmp_path, first, sentence):
    data = write(tmp_path, context_of())
    rows = read_jsonl(data[0])
    write_jsonl(data[0], rows + 9 * [rows[0] | {"gold": None}])  # whose labels nobody knows
    write_json(tmp_path / "accuracy.json", {"rows": 18, "first": first, "tokens": first})
    inputs = SimpleNamespace(context_accuracy=tmp_path / "accuracy.json", data=[tmp_path / "records.jsonl", data[0]])
    assert _teacher(CREDITMIX, inputs) == [sentence]
    tokens = f"The teacher with its context finds {first:.0%} of the tokens of training answers likeliest."
    assert _teacher(TASKS["dolly"], inputs) == [tokens]


@pytest.mark.parametrize("codec", ["full", "topk", "labels"])
def test_training_brings_the_student_to_the_teacher_with_its_context(place, tmp_path, codec):
    """Its own prompts have none: the loss is computed from tokens of the question alone."""
    context = context_of(HINT)
    store, data = store_of(place, tmp_path, context, codec=codec)
    tokenizer, student = load_tokenizer(place / "student"), load_base_model(place / "student", CPU, training=True)
    source, rows = CachedTeacher(store, "bucket"), read_answers(data[0], store.encoder(tokenizer, Reading()))
    asked = {row["id"]: row["input"] for row in read_jsonl(data[0])}
    for row in rows:
        prompt = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label == IGNORED]
        assert tokenizer.decode(prompt) == asked[row["id"]]
    options = {"kd_rate": 1.0, "temperature": TEMPERATURE}
    job = make_job(tmp_path, "cd", tokenizer, options, SGD, learning_rate=0.5, max_steps=60, batch_size=len(rows))
    trainer = make_trainer(job, student, source.prepare(rows, data[0]), data=TaughtData, teacher=source)
    before = trainer.evaluate()
    expected = expected_log_probs(place, data, context, ASKED)
    if codec == "full":
        assert before["eval_divergence"] == pytest.approx(divergence(student, rows, expected), rel=1e-4)
    assert before["eval_loss"] == pytest.approx(before["eval_divergence"])  # gold outputs are not learnt
    trainer.train()
    after = trainer.evaluate()
    assert after["eval_kl"] < before["eval_kl"] / 2 and after["eval_agreement"] >= before["eval_agreement"]
    if codec == "full":
        assert after["eval_divergence"] == pytest.approx(divergence(student, rows, expected), rel=1e-4)


@torch.no_grad()
def divergence(student, rows, expected) -> float:
    """Mean of KL(teacher with its context, student without one) over all tokens of answers, in float64."""
    total = tokens = 0
    for row in rows:
        places = [place - 1 for place in supervised(row["labels"])]
        log_p = expected[row["id"]]
        logits = student(torch.tensor([row["input_ids"]])).logits[0, places, : log_p.shape[1]].double()
        log_q = (logits / TEMPERATURE).log_softmax(-1)
        total, tokens = total + float((log_p.exp() * (log_p - log_q)).sum()), tokens + len(places)
    return total / tokens


def test_what_the_manifest_says_of_the_rows_is_what_the_student_reads(place, tmp_path):
    store, data = store_of(place, tmp_path, context_of(HINT))
    assert store.form == ASKED.form and read_json(store.path)["rows"] == 24
    with pytest.raises(UserError, match="holds no distributions of a row that is asked for"):
        row = read_answers(data[0], store.encoder(load_tokenizer(place / "student"), Reading()))[0]
        store.target([store.key(row | {"input_ids": [*row["input_ids"][:2], 9, *row["input_ids"][3:]]})])
