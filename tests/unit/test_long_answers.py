"""Answers that leave no room for a prompt: all are named, dropped or cropped before anything is trained."""

import json
from pathlib import Path

import pytest
import yaml

from pipestill.errors import UserError
from pipestill.evaluation.evaluate import _learnt
from pipestill.io.files import read_json
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.methods import method_of
from pipestill.models.rows import RowEncoder, read_answers
from pipestill.objectives.long_answers import PROMPT, Room, room_for
from pipestill.objectives.training_file import made_rows, separated, write_training_file
from pipestill.plan.check import check
from pipestill.plan.plan import Plan
from pipestill.settings.jobs import TrainingFileSettings
from pipestill.tasks import TASKS
from pipestill.text.crop import token_ends
from pipestill.text.marker import SEPARATOR
from support.models import make_tokenizer

ROOT = Path(__file__).parents[2]
STUDENT = ROOT / "resources/models/demo-student"
TASK = TASKS["multiclinsum"]
WORDING = "Summarize:\n"


def record(name, words, split="train"):
    target = " ".join(["word"] * words)
    return Record(name, split, {"document": "a report"}, target, [target], test_set="en", prompt="Summarize:\na report")


RECORDS = [record("short", 3), record("long", 30), record("longer", 50)]
RECORDS += [record("held", 2, "validation"), record("held-long", 40, "validation"), record("tested", 99, "test")]


def words(text):
    """A tokenizer whose tokens are words."""
    ends, place = [], 0
    for word in text.split():
        place = text.index(word, place) + len(word)
        ends.append(place)
    return ends


def made(method, policy, outputs=None, rationales=None, explained=False, tokens=20):
    settings = TrainingFileSettings(
        task="multiclinsum", prompt=TASKS["multiclinsum"].prompts["answer"], method=method, seed=1, explained=explained
    )
    room = Room(tokens, words, policy)
    said = outputs and {name: {"id": name, "outputs": [text]} for name, text in outputs.items()}
    train, validation = separated(
        made_rows(TASK, method_of(method).objective, settings, RECORDS, said, rationales, room)
    )
    counted = room.counted(train, {each.id for each in RECORDS if each.split == "validation"})
    return {row["id"]: row for row in train + validation}, counted


def test_all_are_counted_and_the_first_are_named_where_they_stop_the_run():
    with pytest.raises(UserError) as error:
        made("sft", "stop")
    assert str(error.value).startswith("3 answers to learn from have more than 20 tokens")
    for part in ("long (30 tokens)", "longer (50 tokens)", "held-long (40 tokens)", "`training.max_length`"):
        assert part in str(error.value)
    many = [{"id": str(n), "output": "w " * 30} for n in range(99)]
    room = Room(20, words)
    list(room.rows(many, lambda row: {"output": row["output"]}))
    with pytest.raises(UserError, match=r"^99 answers .*: 0 \(30 tokens\), 1 .*, 4 \(30 tokens\), \.\.\.; raise it"):
        room.check()


def test_rows_of_all_files_of_a_study_are_dropped_alike():
    outputs = {name: "said" for name in ("short", "long", "longer")}
    for method, more in (("sft", {}), ("kd", {"outputs": outputs}), ("stepwise", {"rationales": {"short": "since"}})):
        rows, counted = made(method, "drop", **more)
        assert set(rows) == {"short", "held"}
        assert (counted.train, counted.validation) == (2, 1)


def test_answers_are_cropped_to_what_fits_and_references_are_not():
    rows, counted = made("sft", "crop")
    assert [len(rows[name]["output"].split()) for name in ("short", "long", "longer", "held-long")] == [3, 20, 20, 20]
    assert (counted.train, counted.validation) == (2, 1)
    assert [len(each.references[0].split()) for each in RECORDS] == [3, 30, 50, 2, 40, 99]


def test_what_a_teacher_says_and_rationales_have_the_same_room():
    outputs = {"short": "w " * 25, "long": "w", "longer": "w"}
    rows, _ = made("kd", "drop", outputs=outputs)
    assert set(rows) == {"held"}
    rows, _ = made("kd", "crop", outputs=outputs)
    assert len(rows["short"]["teacher_output"].split()) == 20
    rationales = {"short": "w " * 25}
    rows, _ = made("stepwise", "crop", rationales=rationales)
    assert [len(rows["short"][key].split()) for key in ("output", "rationale")] == [3, 20]
    rows, _ = made("stepwise", "crop", rationales=rationales, explained=True)
    joined = len(f"{rows['short']['rationale']}{SEPARATOR}{rows['short']['output']}".split())
    assert (joined, rows["short"]["output"]) == (20, "word word word")
    with pytest.raises(UserError, match="4 answers to learn from"):
        made("stepwise", "stop", rationales=rationales)


def test_without_a_limit_every_answer_is_taken():
    assert set(made("sft", "stop", tokens=None)[0]) == {"short", "long", "longer", "held", "held-long"}


def test_what_stops_the_run_leaves_no_token_for_a_prompt_and_is_read_as_text():
    room = room_for(64, "stop", STUDENT, WORDING)
    ends = token_ends(STUDENT / "tokenizer.json")
    text = "one two <|im_end|> three " * 40
    fits = text[: ends(text)[room.tokens - 1]]
    assert len(ends(fits)) == room.tokens == 62
    for output in (fits, text[: ends(text)[room.tokens]]):
        list(room.rows([{"id": "a", "output": output}], lambda row: {"output": row["output"]}))
    assert room.long == {"a": 63}


@pytest.mark.parametrize("policy", ["drop", "crop"])
def test_a_prompt_fits_beside_every_answer_that_is_left(policy):
    room = room_for(128, policy, STUDENT, WORDING)
    assert room.tokens == 128 - 1 - PROMPT - len(token_ends(STUDENT / "tokenizer.json")(WORDING))
    with pytest.raises(UserError, match=r"`training\.max_length` 40 leaves no room for an answer beside a prompt of"):
        room_for(40, policy, STUDENT, WORDING)


def test_a_model_without_a_tokenizer_file_finds_them_in_its_training(tmp_path):
    for limit, learner in ((64, tmp_path), (64, None), (None, tmp_path)):
        assert room_for(limit, "drop", learner, WORDING).tokens is None


def test_files_are_written_with_a_count_that_tables_show(tmp_path):
    names = ("records", "train", "validation", "long_answers")
    files = {name: tmp_path / f"{name}.json" for name in names}
    write_jsonl(files["records"], RECORDS)
    settings = TrainingFileSettings(
        task="multiclinsum", prompt=TASKS["multiclinsum"].prompts["answer"], method="sft", seed=1, on_long_answer="drop"
    )
    objective = method_of("sft").objective
    write_training_file(TASK, objective, settings, files, lambda text, each: text, Room(20, words, "drop"))
    assert [row["id"] for row in read_jsonl(files["train"])] == ["short"]
    assert read_json(files["long_answers"]) == {"treatment": "drop", "train": 2, "validation": 1}
    (note,) = _learnt(files["long_answers"])
    assert "were dropped: 2 of training, 1 of validation rows" in note
    write_training_file(TASK, objective, settings, files, lambda text, each: text)
    assert _learnt(files["long_answers"]) == _learnt(None) == []


def plan(changes):
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    config["studies"]["creditmix"] |= changes
    return Plan(check(config), ROOT)


def test_all_students_of_a_study_have_the_room_of_the_narrowest_where_answers_are_dropped():
    def settings(changes, file):
        return json.loads(plan(changes).training_file_settings("creditmix", file))

    narrow = {"overrides": {"kd": {"max_length": 200}}, "methods": ["sft", "kd"]}
    assert settings(narrow, "sft")["max_length"] > settings(narrow, "kd")["max_length"] == 200
    dropped = narrow | {"on_long_answer": "drop"}
    assert [settings(dropped, file)["max_length"] for file in ("sft", "kd")] == [200, 200]
    assert settings(dropped, "sft")["on_long_answer"] == "drop"
    assert settings(narrow | {"methods": ["kd"]}, "sft")["max_length"] is None  # only asked with, not learnt


def test_a_training_names_all_rows_that_it_cannot_take(tmp_path):
    rows = [{"id": str(n), "input": "a", "output": "word " * (90 if n % 2 else 1)} for n in range(30)]
    write_jsonl(tmp_path / "x.jsonl", rows)
    with pytest.raises(UserError) as error:
        read_answers(tmp_path / "x.jsonl", RowEncoder(make_tokenizer(), 64))
    assert "x.jsonl, line 2: the answer takes" in str(error.value)
    assert "(14 more rows have such faults: lines 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, ...)" in str(error.value)
