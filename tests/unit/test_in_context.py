"""In-context learning: demonstrations, as many as fit, and a job that asks behind them."""

from collections import Counter
from dataclasses import replace
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipestill.answers.demonstrations import Demonstrations
from pipestill.answers.labels import predict as labels_predict
from pipestill.errors import UserError
from pipestill.evaluation.evaluate import _demonstrations
from pipestill.inference import answers
from pipestill.inference.answers import answer_prompts
from pipestill.inference.by_hand import Predictor
from pipestill.inference.contexts import draw_context, read_context, room_of, training_records
from pipestill.inference.experiment import Runs, predict_experiment
from pipestill.inference.generation import GREEDY
from pipestill.inference.loaded import load
from pipestill.inference.rankers import rank
from pipestill.inference.ranking import score_all_labels
from pipestill.inference.target import find_target
from pipestill.inference.work import Work
from pipestill.io.files import read_json, write_json
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.models.prompts import word_ids
from pipestill.models.rows import Row, read_answers, supervised
from pipestill.settings.contexts import InContextSettings
from pipestill.settings.jobs import Asking, PredictionSettings
from pipestill.settings.prompts import Prompt
from pipestill.tasks import TASKS
from pipestill.teacher.agreement import Agreement
from support.distributions import capture
from support.models import CPU, make_directory, make_directory_of

CREDITMIX, DOLLY = TASKS["creditmix"], TASKS["dolly"]
LABELS = CREDITMIX.answers.labels
WORDS = {"Good": "Good", "Standard": "Standard 9", "Bad": "Bad"}  # one of several tokens
RAW = Prompt(text="{features} mix:", render="raw", verbalizers=WORDS)
CHAT = Prompt(text="{features}")
LIMITS = {"max_prompt_tokens": 60, "max_new_tokens": 8}
COMMON = {"adaptation": "full", "hardware": {"device": "cpu"}, "code": "1"}


def make_records(sizes=(("train", 24), ("validation", 9), ("test", 12))) -> list[Record]:
    draw, found = Random(0), []
    for split, count in sizes:
        for number in range(count):
            label = LABELS[number % 3]
            inputs = {"features": f"Age: {draw.randint(18, 80)}.0 {'9' * draw.randint(1, 12)}"}
            found.append(Record(f"{split}{number}", split, inputs, label, [label], prompt="-"))
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_directory(tmp_path_factory.mktemp("results") / "models/base", initializer_range=0.3)


@pytest.fixture(scope="module")
def loaded(base):
    return load(base, None, CPU)


@pytest.fixture(scope="module")
def records():
    return make_records()


@pytest.fixture(scope="module")
def files(tmp_path_factory, records):
    """Records, and the training file, which has not all of the training records."""
    place = tmp_path_factory.mktemp("data")
    write_jsonl(place / "cropped.jsonl", [record.row() for record in records])
    own = [record for record in records if record.split == "train"][:18]
    write_jsonl(place / "sft.jsonl", [{"id": record.id, "input": "-", "output": "-"} for record in own])
    return place


def asking_of(prompt=RAW, task="creditmix", **settings) -> Asking:
    return Asking(task=task, prompt=prompt, **(LIMITS | settings))


def drawn(loaded, records, shots=6, seed=1, prompt=RAW, **settings):
    settings = InContextSettings(shots=shots, **settings)
    pool = [record for record in records if record.split == "train"]
    return draw_context(settings, CREDITMIX, asking_of(prompt), loaded, records, pool, seed)


@pytest.mark.parametrize("seed", range(5))
def test_demonstrations_are_balanced_and_fewer_are_the_first_of_more(records, seed):
    train = [record for record in records if record.split == "train"]
    found = Demonstrations(train, CREDITMIX.answers, seed)
    for shots in range(len(train) + 1):
        taken = found.take(shots)
        counts = Counter(record.target for record in taken)
        assert len({record.id for record in taken}) == shots
        assert not shots or max(counts.values()) - min(counts[label] for label in LABELS) <= 1
        assert taken == found.take(len(train))[:shots]
    assert [each.id for each in Demonstrations(train[::-1], CREDITMIX.answers, seed + 9).take(9)] != [
        each.id for each in found.take(9)
    ]


@pytest.mark.parametrize("shots", [1, 3, 4, 6, 7])
def test_a_row_is_left_out_without_a_trace_of_its_label(records, shots):
    """Another one of its class stands where it would: the others are the same, and so are their labels."""
    train = [record for record in records if record.split == "train"]
    found = Demonstrations(train, CREDITMIX.answers, 3)
    whole = found.take(shots)
    for record in train:
        left = found.take(shots, without=record.id)
        assert record not in left and len(left) == len({each.id for each in left}) == shots
        assert [each.target for each in left] == [each.target for each in whole]
        assert [each for each in left if each in whole] == [each for each in whole if each != record]


def test_rows_of_one_class_that_run_out_leave_the_others(records):
    train = [record for record in records if record.split == "train"]
    few = [record for record in train if record.target == "Good"][:1] + [
        record for record in train if record.target == "Bad"
    ]
    found = Demonstrations(few, CREDITMIX.answers, 1)
    assert Counter(record.target for record in found.take(5)) == {"Good": 1, "Bad": 4}
    alone = found.take(2, without=few[0].id)
    assert [record.target for record in alone] == ["Bad", "Bad"]
    with pytest.raises(UserError, match=r"10 demonstrations .* there are 9 training rows; ask for fewer"):
        found.take(10)
    with pytest.raises(UserError, match="9 demonstrations are asked for, and there are 8 training rows"):
        found.take(9, without=few[0].id)


def test_texts_have_one_class():
    rows = [Record(str(n), "train", {"instruction": str(n), "input": ""}, "a", ["a"]) for n in range(5)]
    taken = Demonstrations(rows, DOLLY.answers, 1).take(5)
    assert sorted(record.id for record in taken) == list("01234")


def test_the_pool_is_what_students_learn_from(files, records):
    assert [record.id for record in training_records(records, files / "sft.jsonl")] == [f"train{n}" for n in range(18)]
    write_jsonl(files / "other.jsonl", [{"id": "test1"}])
    with pytest.raises(UserError, match=r"other\.jsonl has the row test1, which is no training record: make the file"):
        training_records(records, files / "other.jsonl")


@pytest.mark.parametrize("prompt", [RAW, CHAT], ids=["raw", "chat"])
@pytest.mark.parametrize("limit", [None, 70, 110, 150])
def test_as_many_demonstrations_are_read_as_fit_beside_the_longest_question(loaded, records, prompt, limit):
    found = drawn(loaded, records, 8, prompt=prompt, max_tokens=limit, instruction="Tell.")
    asked = [record for record in records if record.split in ("validation", "test")]

    def longest(pairs):
        encode = replace(loaded, context=replace(found.context, demonstrations=pairs)).encoder(prompt)
        return max(len(encode(prompt.fill(record.inputs), 60)) for record in asked) + 8

    pool = [record for record in records if record.split == "train"]
    chosen = Demonstrations(pool, CREDITMIX.answers, 1).take(8)
    pairs = [(prompt.fill(record.inputs), prompt.answer(record.target)) for record in chosen]
    fitting = [shots for shots in range(9) if limit is None or longest(pairs[:shots]) <= limit]
    assert len(found.ids) == max(fitting) and found.tokens == longest(pairs[: max(fitting)])
    assert list(found.context.demonstrations) == pairs[: max(fitting)]
    assert (len(found.ids) == 8) == (limit is None)
    row = found.row()
    assert (row["shots"], row["read"], row["ids"]) == (
        8,
        len(found.ids),
        [record.id for record in chosen][: row["read"]],
    )


def test_too_many_demonstrations_stop_where_they_shall(loaded, records):
    with pytest.raises(UserError, match=r"8 demonstrations and the longest question take \d+ tokens, and there"):
        drawn(loaded, records, 8, max_tokens=110, on_overflow="stop")
    with pytest.raises(UserError, match="0 demonstrations and the longest question take"):
        drawn(loaded, records, 8, max_tokens=12)  # the question itself does not fit
    assert drawn(loaded, records, 0, instruction="Tell.").context.demonstrations == ()


@pytest.mark.parametrize(
    ("config", "limit", "room"),
    [
        ({"max_position_embeddings": 64}, None, 64),
        ({"max_position_embeddings": 64}, 40, 40),
        ({"max_position_embeddings": 64, "sliding_window": 32}, 50, 32),
        ({}, None, None),
        ({}, 50, 50),
    ],
)
def test_the_room_is_what_a_model_reads_at_most(config, limit, room):
    own = SimpleNamespace(**config)
    model = SimpleNamespace(config=SimpleNamespace(get_text_config=lambda decoder: own))
    assert room_of(model, limit) == room


@pytest.mark.parametrize("prompt", [RAW, CHAT], ids=["raw", "chat"])
def test_scores_behind_a_shared_context_are_those_of_whole_passes(loaded, records, prompt):
    """One pass per question and label in float64, without cache, mask or batch; a word of several counts whole."""
    context = drawn(loaded, records, prompt=prompt).context
    encode = replace(loaded, context=context).encoder(prompt)
    asked = [prompt.fill(record.inputs) for record in records if record.split == "test"]
    prompts = [encode(question, 60) for question in asked]
    words = word_ids(loaded.tokenizer, prompt.form, [prompt.answer(label) for label in LABELS], asked[0])
    assert len(words[1]) > len(words[0])
    found = score_all_labels(loaded.model, prompts, words, token_budget=300)
    double = load(loaded.model.name_or_path, None, CPU).model.double()
    for row, tokens in enumerate(prompts):
        for column, word in enumerate(words):
            with torch.no_grad():
                logits = double(torch.tensor([[*tokens, *word]])).logits[0].log_softmax(-1)
            total = sum(logits[len(tokens) - 1 + place, token].item() for place, token in enumerate(word))
            assert found.mean_log_prob[row, column] * len(word) == pytest.approx(total, abs=1e-5 * len(word))
    apart = [score_all_labels(loaded.model, [tokens], words) for tokens in prompts]
    alone = np.concatenate([each.mean_log_prob for each in apart])
    np.testing.assert_allclose(found.mean_log_prob, alone, rtol=0, atol=1e-5)


def job(directory, base, files, seeds=(1, 2), prompt=RAW, **context):
    """The prediction job of ``creditmix_icl``; its output."""
    settings = PredictionSettings(
        asking=asking_of(prompt, answers={"calibration": "none"}),
        data={"max_chars": 60},
        context=InContextSettings(**{"shots": 6, "instruction": "Tell the mix."} | context),
        **COMMON,
    )
    output = directory / "creditmix_icl/predictions"
    runs = Runs(base, dict.fromkeys(seeds), files / "sft.jsonl")
    predict_experiment(settings, runs, files / "cropped.jsonl", directory / "state", output, 1)
    return output


@pytest.fixture(scope="module")
def predicted(base, files):
    return job(base.parents[1], base, files)


def test_each_seed_is_a_run_with_demonstrations_of_its_own(predicted, records):
    first, second = (read_json(predicted / f"seed_{seed}/context.json") for seed in (1, 2))
    assert first["ids"] != second["ids"] and first["read"] == second["read"] == 6
    train = {record.id: record for record in records}
    for row in (first, second):
        own = [train[name] for name in row["ids"]]
        assert Counter(record.target for record in own) == dict.fromkeys(LABELS, 2)
        assert {int(name.removeprefix("train")) for name in row["ids"]} <= set(range(18))  # rows of the training file
        assert row["demonstrations"] == [[RAW.fill(each.inputs), RAW.answer(each.target)] for each in own]
    scores = [[row["scores"] for row in read_jsonl(predicted / f"seed_{seed}/predictions.jsonl")] for seed in (1, 2)]
    assert scores[0] != scores[1]
    assert read_json(predicted / "seed_1/queries.json")["prompt_tokens"] > 60


def test_answers_of_the_test_are_in_no_context(predicted, records):
    """Of the records that are asked about, none is a demonstration."""
    shown = {name for seed in (1, 2) for name in read_json(predicted / f"seed_{seed}/context.json")["ids"]}
    assert shown <= {record.id for record in records if record.split == "train"}


def test_by_hand_the_same_context_is_read(predicted, base, records):
    results, record = base.parents[1], records[-1]
    for seed in (1, 2):
        rows = {row["id"]: row for row in read_jsonl(predicted / f"seed_{seed}/predictions.jsonl")}
        predictor = Predictor(find_target("creditmix_icl", results, "creditmix", seed))
        found = predictor.reply(record.inputs)
        assert predictor.loaded.context == read_context(predicted / f"seed_{seed}")
        assert found["raw_scores"] == pytest.approx(rows[record.id]["raw_scores"], abs=1e-5)
        assert found["prediction"] == rows[record.id]["prediction"]
    assert not read_context(predicted)  # where no run was asked behind one


def test_a_stopped_job_goes_on_behind_the_same_context(tmp_path, base, files, predicted, monkeypatch):
    true_rank, batches = rank, []

    def stopping(*arguments, **options):
        for batch in true_rank(*arguments, **options):
            if len(batches) == 3:
                raise KeyboardInterrupt
            batches.append(batch)
            yield batch

    monkeypatch.setattr("pipestill.inference.ranking.CPU_TOKENS", 100)  # several batches
    whole = job(tmp_path / "whole", base, files)
    monkeypatch.setattr(labels_predict, "rank", stopping)
    with pytest.raises(KeyboardInterrupt):
        job(tmp_path, base, files)
    assert not (tmp_path / "creditmix_icl/predictions").exists()
    monkeypatch.setattr(labels_predict, "rank", true_rank)
    resumed = job(tmp_path, base, files)
    for seed in (1, 2):
        for name in ("context.json", "predictions.jsonl"):
            assert (resumed / f"seed_{seed}" / name).read_bytes() == (whole / f"seed_{seed}" / name).read_bytes()
        assert (resumed / f"seed_{seed}/context.json").read_bytes() == (
            predicted / f"seed_{seed}/context.json"
        ).read_bytes()


def test_other_demonstrations_are_other_work(tmp_path, base, files):
    first = read_jsonl(job(tmp_path, base, files, seeds=(1,)) / "seed_1/predictions.jsonl")
    second = read_jsonl(job(tmp_path, base, files, seeds=(1,), shots=3) / "seed_1/predictions.jsonl")
    fresh = read_jsonl(job(tmp_path / "fresh", base, files, seeds=(1,), shots=3) / "seed_1/predictions.jsonl")
    assert second == fresh and [row["scores"] for row in first] != [row["scores"] for row in second]


@pytest.mark.parametrize("kind", ["causal", "t5"])
@pytest.mark.parametrize("render", ["raw", "chat"])
def test_texts_are_written_behind_a_context(tmp_path, kind, render):
    directory = make_directory_of(kind, tmp_path / "models/base")
    rows = []
    for number in range(9):
        inputs = {"instruction": f"Name the age {number}", "input": f"Age: {number}.0"}
        split = ("train", "test", "validation")[number % 3]
        rows.append(Record(f"r{number}", split, inputs, f"Age {number}", [f"Age {number}"], "dolly", "-"))
    write_jsonl(tmp_path / "cropped.jsonl", [row.row() for row in rows])
    write_jsonl(tmp_path / "sft.jsonl", [{"id": row.id} for row in rows if row.split == "train"])
    prompt = Prompt(text="{instruction}\n{input}\nA:", render=render)
    told = PredictionSettings(
        asking=asking_of(prompt, "dolly", max_new_tokens=5), data={}, context=InContextSettings(shots=2), **COMMON
    )
    runs = Runs(directory, {1: None, 2: None}, tmp_path / "sft.jsonl")
    read = []
    predict_experiment(told, runs, tmp_path / "cropped.jsonl", tmp_path / "state", tmp_path / "out", 1, read.append)
    for seed, asked in zip((1, 2), read, strict=True):
        found = read_jsonl(tmp_path / f"out/seed_{seed}/predictions.jsonl")
        assert [row["id"] for row in found] == [row.id for row in rows if row.split == "test"]
        assert all(isinstance(row["prediction"], str) for row in found)
        tokens = asked.encoder(prompt)(prompt.fill(rows[1].inputs), 60)
        said, shown = asked.tokenizer.decode(tokens), read_json(tmp_path / f"out/seed_{seed}/context.json")
        assert len(shown["demonstrations"]) == 2
        for question, answer in shown["demonstrations"]:
            assert said.index(question) < said.index(answer.strip(), said.index(question))
            assert said.index(answer.strip()) < said.index(prompt.fill(rows[1].inputs))
        costs = read_json(tmp_path / f"out/seed_{seed}/queries.json")
        assert (costs["read_tokens"] < costs["prompt_tokens"] - 5) == (kind == "causal")  # the context counts once
        assert costs["prompt_tokens"] == np.mean(
            [len(asked.encoder(prompt)(prompt.fill(row.inputs), 60)) for row in rows if row.split == "test"]
        )


def test_texts_are_those_that_are_written_behind_whole_prompts(tmp_path, loaded, records, monkeypatch):
    """Whether the context is read once, as it is, or again before each question."""
    within = replace(loaded, context=drawn(loaded, records).context)
    prompts = {record.id: RAW.fill(record.inputs) for record in records if record.split == "test"}

    def written(name, found):
        (tmp_path / name).mkdir()
        work = Work(tmp_path / name, CostMeter(tmp_path / f"{name}.json"), name)
        return {key: row["text"] for key, row in answer_prompts(found, asking_of(), GREEDY, prompts, work).items()}

    behind = written("once", within)
    monkeypatch.setattr(answers, "shared_length", lambda *_: 0)
    assert written("again", within) == behind != written("alone", loaded)


def test_a_table_says_that_demonstrations_did_not_fit(tmp_path):
    assert _demonstrations(tmp_path) == []
    for seed, read in ((1, 8), (2, 8)):
        write_json(tmp_path / f"seed_{seed}/context.json", {"shots": 8, "read": read})
    assert _demonstrations(tmp_path) == []
    write_json(tmp_path / "seed_2/context.json", {"shots": 8, "read": 5})
    assert _demonstrations(tmp_path) == ["Of 8 demonstrations 5 to 8 fit beside the longest question, and were read."]
    write_json(tmp_path / "seed_1/context.json", {"shots": 8, "read": 5})
    assert _demonstrations(tmp_path) == ["Of 8 demonstrations 5 fit beside the longest question, and were read."]


def test_agreement_with_a_teacher_is_that_of_the_model_with_its_context(tmp_path, base, loaded, records):
    """Against one pass per answer behind the whole context."""
    asked = [record for record in records if record.split == "validation"]
    answers = [{"id": each.id, "input": RAW.fill(each.inputs), "output": RAW.answer(each.target)} for each in asked]
    write_jsonl(tmp_path / "validation.jsonl", answers)
    teacher = make_directory(tmp_path / "teacher", seed=5)
    form = RAW.form.model_dump()
    manifest = capture(
        tmp_path / "d", [tmp_path / "validation.jsonl"], teacher, base, codec="full", k=None, temperature=1.0, form=form
    )
    agreement = Agreement(manifest, tmp_path / "validation.jsonl")
    within = replace(loaded, context=drawn(loaded, records).context)
    total = tokens = 0
    encoder = agreement.store.encoder(loaded.tokenizer, SimpleNamespace(kind="causal", start=None))
    encoder.prompts.context = within.context
    for row in read_answers(tmp_path / "validation.jsonl", encoder):
        total, tokens = total - _log_prob(loaded.model, row), tokens + len(supervised(row["labels"]))
    assert agreement(within)["student_nll"] == pytest.approx(total / tokens, abs=1e-5)
    assert agreement(within)["student_nll"] != pytest.approx(agreement(loaded)["student_nll"], abs=1e-3)
    assert agreement(within)["teacher_nll"] == agreement(loaded)["teacher_nll"]


@torch.no_grad()
def _log_prob(model, row: Row) -> float:
    logits = model(torch.tensor([row["input_ids"]])).logits[0].log_softmax(-1)
    return sum(logits[place - 1, row["labels"][place]].item() for place in supervised(row["labels"]))
