"""Answers that are JSON: how gold ones are written and wrong ones made, options, and declared tasks."""

import json
from collections import Counter
from copy import deepcopy
from pathlib import Path
from random import Random

import pytest
import yaml

from pipestill.answers.base import Said
from pipestill.answers.json import JsonObject, JsonOptions
from pipestill.answers.json import mistakes as kinds
from pipestill.answers.json.mistakes import mistaken
from pipestill.answers.json.writing import Said as SaidBySchema
from pipestill.answers.json.writing import written
from pipestill.errors import UserError
from pipestill.io.records import Record, write_jsonl
from pipestill.metrics.json_values import equal
from pipestill.plan.check import check
from pipestill.plan.plan import Plan
from pipestill.schemas.schema import Schema
from pipestill.settings.jobs import TrainingFileSettings
from pipestill.tasks import TASKS, task_of
from support.layout_runs import prepare, prompted, rows_of

ROOT = Path(__file__).parents[2]
IDP = TASKS["idp"].answers
SHOP = {
    "$defs": {"thing": {"properties": {"name": {"type": "string"}, "price": {"type": "number"}}}},
    "type": "object",
    "required": ["things"],
    "properties": {
        "open": {"type": "boolean"},
        "things": {"type": "array", "items": {"$ref": "#/$defs/thing"}},
        "place": {
            "anyOf": [{"type": "null"}, {"properties": {"street": {"type": "string"}, "city": {"type": "string"}}}]
        },
    },
}
GOLD = {
    **{"kind": "invoice", "number": "INV1", "date": "2025-10-01", "vendor": "Bar LLC", "buyer": None},
    **{"currency": "USD", "total": 50.5, "items": [{"product": "pens", "quantity": 2, "price": 25.25}]},
}


def record(gold=GOLD):
    return Record("a", "train", {"document": "d"}, IDP.read(gold), [IDP.read(gold)])


def test_properties_are_written_in_the_order_of_the_schema():
    value = {"more": 1, "place": {"city": "é", "street": "a"}, "things": [{"price": 1.50, "name": "b"}], "open": True}
    assert (
        written(SHOP, value)
        == '{"open": true, "things": [{"name": "b", "price": 1.5}], "place": {"street": "a", "city": "é"}, "more": 1}'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (50.0, "50"),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (12345678.25, "12345678.25"),
        (0.0, "0"),
        (-2.50, "-2.5"),
        (3, "3"),
        *[(True, "true"), (None, "null"), ('a\n"', '"a\\n\\""'), ([], "[]"), ({}, "{}")],
    ],
)
def test_values_have_one_spelling(value, text):
    assert written({}, value) == text


def test_schemas_that_refer_to_themselves_have_an_end():
    schema = {"properties": {"b": {"$ref": "#"}, "a": {"$ref": "#"}}}
    assert written(schema, {"a": {"a": 1, "b": 2}, "b": None}) == '{"b": null, "a": {"b": 2, "a": 1}}'


def test_a_gold_answer_is_read_in_any_spelling():
    assert IDP.read(json.dumps(GOLD, indent=1)) == IDP.read(dict(reversed(GOLD.items()))) == json.dumps(GOLD)
    assert not IDP.schema.validate(json.loads(IDP.read(GOLD)))


@pytest.mark.parametrize("kind", ["wrong", "missing", "invented", "mistyped"])
def test_each_mistake_is_one_of_its_kind(kind):
    said, seen = SaidBySchema.by(IDP.schema.content), set()
    for seed in range(200):
        changed = getattr(kinds, kind)(said, GOLD, Random(seed))
        if changed is None or equal(changed, GOLD):
            continue
        seen.add(json.dumps(changed))
        wrong = [path for path in GOLD if path not in changed or not equal(changed[path], GOLD[path])]
        assert len(wrong) == 1
        before, after = GOLD[wrong[0]], changed.get(wrong[0])
        valid = not IDP.schema.validate(changed)
        if kind == "mistyped":
            assert not valid and (type(after) is not type(before) or wrong == ["items"])
        if kind == "missing":
            assert after in (None, []) and valid
        if kind == "invented":
            assert before is None or len(after) > len(before)
        if kind == "wrong" and wrong == ["kind"]:
            assert after in ("receipt", "order")
    assert len(seen) >= (3 if kind in ("missing", "mistyped") else 6)


def test_rejected_answers_are_wrong_and_depend_on_the_seed():
    found = [IDP.rejected(record(), None, Random(seed)) for seed in range(60)]
    assert found == [IDP.rejected(record(), None, Random(seed)) for seed in range(60)]
    assert len(set(found)) > 20
    valid = Counter(not IDP.schema.validate(json.loads(text)) for text in found)
    assert valid[True] > 20 and valid[False] > 5
    assert not any(equal(json.loads(text), GOLD) for text in found)


def test_what_the_teacher_says_wrong_is_rejected_first():
    right, wrong = json.dumps(GOLD), json.dumps({**GOLD, "total": 5})
    said = {"id": "a", "outputs": [right.replace("50.5", "50.50"), wrong]}
    assert IDP.rejected(record(), said, Random(1)) == wrong
    assert IDP.rejected(record(), {"id": "a", "outputs": ['{"kind": ']}, Random(1)) == '{"kind": '
    of_its_own = IDP.rejected(record(), {"id": "a", "outputs": [right]}, Random(1))
    assert of_its_own == IDP.rejected(record(), None, Random(1)) != right


def test_a_value_without_parts_has_no_mistakes():
    with pytest.raises(UserError, match=r"no mistake can be made in \{\}"):
        mistaken({}, {}, Random(1))
    assert mistaken({}, {"a": False}, Random(1)) != {"a": False}


def test_one_answer_scores_its_field_f1():
    said = Said("a", [json.dumps({**GOLD, "total": 5}), json.dumps(GOLD), "no JSON"])
    assert IDP.score_one(said, [json.dumps(GOLD)]) == pytest.approx((8 / 9 + 1 + 0) / 3)
    assert IDP.can("score_one") and IDP.can("rejected")


def test_a_schema_of_the_options_takes_the_place_of_the_tasks(tmp_path):
    (tmp_path / "shop.json").write_text(json.dumps(SHOP))
    for given in (str(tmp_path / "shop.json"), SHOP, json.dumps(SHOP)):
        options = JsonOptions.model_validate({"schema": given})
        assert IDP.schema_of(options).content == SHOP
        assert JsonOptions.model_validate(options.used()) == options
    assert IDP.schema_of(JsonOptions()) is IDP.schema
    assert "schema" not in JsonOptions().used()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schema": "nowhere.json"}, "nowhere.json: the schema cannot be read"),
        ({"schema": {"type": "object", "not": {}}}, "`not` at # cannot be followed"),
        ({"schema": '{"type": '}, "this is not JSON"),
        ({"schema": 5}, "valid string"),
        ({"no_repeat_ngram_size": 4}, "`no_repeat_ngram_size` may forbid what the schema demands"),
        ({"decoding": "beam"}, "'constrained' or 'free'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        JsonOptions.model_validate(options)
    assert JsonOptions(decoding="free", no_repeat_ngram_size=4)


@pytest.fixture
def config(tmp_path):
    """The default, with a task that it declares and a study of it."""
    (tmp_path / "shop.json").write_text(json.dumps(SHOP))
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    data = {"source": "file", "path": str(tmp_path / "rows.jsonl"), "splits": {"test_rows": 4, "val_rows": 2}}
    answers = {"kind": "json", "schema": str(tmp_path / "shop.json"), "max_new_tokens": 64}
    config["tasks"]["shops"] = {"answers": answers, "data": data}
    config["studies"]["shops"] = {"task": "shops", "student": "demo-student", "methods": ["base", "sft", "dpo"]}
    return config


def test_a_task_with_a_schema_needs_no_python(tmp_path, config):
    rows = [
        {"document": f"Shop {n}", "json": {"things": [{"price": n, "name": "a"}], "open": n < 9}} for n in range(20)
    ]
    write_jsonl(tmp_path / "rows.jsonl", [*rows, {"document": "Shop", "json": {"open": 1}}])
    config["tasks"]["shops"]["data"]["max_bad_share"] = 0.1
    checked = check(config)
    data = {**config["tasks"]["shops"]["data"], "splits": {"test_rows": 4, "val_rows": 2, "teacher_share": 0}}
    task = task_of(TrainingFileSettings.model_validate_json(Plan(checked, ROOT).training_file_settings("shops", "sft")))
    assert task.inputs == ("document",) and task.answers.schema == Schema.of(SHOP, "here")
    records, manifest = prepare(task, tmp_path, **data)
    assert manifest["bad_rows"] == 1 and "`json` is not valid by the schema, #" in str(manifest)
    cropped, _ = prompted(task, records, **data)
    sft, _ = rows_of(task, "sft", cropped)
    dpo, _ = rows_of(task, "dpo", cropped)
    assert all(row["output"].startswith('{"open": ') and '[{"name": "a", "price": ' in row["output"] for row in sft)
    assert {row["chosen"] for row in dpo} == {row["output"] for row in sft}
    assert not any(equal(json.loads(row["chosen"]), json.loads(row["rejected"])) for row in dpo)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("nowhere.json", "tasks.shops.answers.schema: nowhere.json: the schema cannot be read"),
        ({"type": "array", "uniqueItems": True}, "`uniqueItems` at # cannot be followed"),
        (None, "tasks.shops.answers.schema"),
    ],
)
def test_a_schema_that_answers_cannot_follow_stops_the_run_before_any_work(config, schema, message):
    config["tasks"]["shops"]["answers"] = {"kind": "json", "schema": schema}
    with pytest.raises(UserError) as refused:
        check(config)
    assert message in str(refused.value)


def test_jobs_are_told_the_schema_with_its_order(config):
    checked = check(deepcopy(config))
    told = TrainingFileSettings.model_validate_json(Plan(checked, ROOT).training_file_settings("shops", "sft"))
    answers = task_of(told).answers
    assert isinstance(answers, JsonObject) and answers.max_new_tokens == 64
    assert list(answers.schema.content["properties"]) == ["open", "things", "place"]
