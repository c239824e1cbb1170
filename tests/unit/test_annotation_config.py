"""What the section `annotation` accepts."""

from pathlib import Path

import pytest
import yaml

from pipestill.errors import UserError
from pipestill.io.records import Record
from pipestill.plan.check import check
from pipestill.settings.annotation import AnnotationConfig
from pipestill.tasks import TASKS
from pipestill.text.gaps import fill
from support.layout_runs import prepare, prompted

ROOT = Path(__file__).parents[2]
GOOD = {"provider": "openrouter", "model": "m", "steps": [{"prompt": "{document}", "out": "rationale"}]}
ENDPOINT = {"provider": "endpoint", "base_url": "https://api.example.org/v1"}


@pytest.mark.parametrize(
    "change",
    [
        {},
        ENDPOINT,
        ENDPOINT | {"base_url": "http://127.0.0.1:8000/v1"},
        ENDPOINT | {"base_url": "http://[::1]:80/v1"},
        ENDPOINT | {"base_url": "http://localhost/v1", "key_variable": "KEY"},
        {"provider": "local", "max_cost": 0},
        {"provider": "local", "steps": [{"prompt": "List the findings:\n{document}\n", "out": "rationale"}]},
        {"provider": "local", "steps": [{"prompt": "{document}", "out": name} for name in ("rationale", "answer")]},
        ENDPOINT | {"steps": [{"prompt": "Case: {document}\nList the findings.", "out": "rationale"}]},
    ],
)
def test_good_settings(change):
    AnnotationConfig.model_validate(GOOD | change)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"base_url": "https://api.example.org/v1"}, "`base_url` is the address of `provider: endpoint`"),
        ({"provider": "endpoint"}, "`base_url` is the address of `provider: endpoint`"),
        ({"key_variable": "KEY"}, "`key_variable` is for `provider: endpoint`"),
        (ENDPOINT | {"base_url": "http://api.example.org/v1"}, "must begin with https://"),
        (ENDPOINT | {"base_url": "http://127.0.0.1.example.org/v1"}, "must begin with https://"),
        (ENDPOINT | {"base_url": "https://me:word@api.example.org/v1"}, "holds a user name or password"),
        ({"max_cost": 1.0}, "`max_cost` needs `price`"),
        ({"steps": [{"prompt": "{document}", "out": "summary"}]}, "must have `out: rationale`"),
        ({"steps": GOOD["steps"] * 2}, "the same `out`"),
        ({"steps": [{"prompt": "{document}", "out": "rationale", "pattern": "("}]}, "not a regular expression"),
        (
            {"provider": "local", "steps": [{"prompt": "{document}", "out": "rationale", "system": "Be brief."}]},
            "trained to write a `rationale`",
        ),
        (
            {"provider": "local", "steps": [{"prompt": "Case: {document}\nList the findings.", "out": "rationale"}]},
            r"let `prompt` end with a field such as `\{document\}`",
        ),
        ({"splits": ["test"]}, "'train' or 'validation'"),
        ({"extra_body": {"note": "sk-or-v1-0123456789abcdef"}}, "looks like a secret key"),
    ],
)
def test_bad_settings(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        AnnotationConfig.model_validate(GOOD | change)


def check_steps(*steps, **annotation):
    """Check the default with other steps; a text stands for a prompt for the rationale."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    steps = [{"prompt": step, "out": "rationale"} if isinstance(step, str) else step for step in steps]
    config["tasks"]["multiclinsum"]["annotation"] = GOOD | annotation | {"steps": steps}
    return check(config)


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("max_tokens", "this comes from `max_tokens` of a step of the annotation; remove it here"),
        ("max_completion_tokens", "this comes from `max_tokens` of a step"),
        ("messages", "this comes from `steps`"),
        ("model", "this comes from `model`"),
        ("models", "this comes from `model`"),
        ("temperature", "this comes from `temperature`"),
        ("top_p", "this comes from `top_p`"),
        ("seed", "this comes from `seed`"),
        ("provider", "this comes from `routing`"),
        ("n", "the budget sets money aside for a prompt and one answer; remove it"),
        ("tools", "the budget sets money aside"),
        ("stream", "answers are read whole"),
    ],
)
def test_fields_of_the_request_that_bypass_other_keys_are_refused(field, sentence):
    with pytest.raises(UserError, match=rf"tasks.multiclinsum.annotation.extra_body.{field}: {sentence}"):
        check_steps("{document}", extra_body={"reasoning": {"enabled": False}, field: 3})


def test_other_fields_of_the_request_are_passed_on():
    check_steps("{document}", extra_body={"reasoning": {"max_tokens": 10}, "response_format": {"type": "json_object"}})
    check_steps("{document}", **ENDPOINT, extra_body={"provider": {"sort": "price"}})  # of whatever stands behind it


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ({"type": "strange"}, r"this is not a JSON Schema: 'strange' is not valid .* \(at \$.type\); mend it"),
        ({"properties": {"age": {"pattern": "("}}}, "is not a 'regex'"),
        ({"$schema": 5}, "5 is not of type 'string'"),
        (
            {"properties": {"age": {"$ref": "#/$defs/gone"}}},
            "`#/$defs/gone` leads nowhere; put its target into the schema",
        ),
        ({"$ref": "#gone"}, "`#gone` leads nowhere"),
        ({"$ref": "https://example.org/schema.json"}, "`https://example.org/schema.json` leads nowhere"),
        ({"$ref": "#/own/a", "own": {"a": {"type": "strange"}}}, "this is not a JSON Schema"),
        ({"$ref": "#/own/a", "own": {"a": {"$ref": "#/own/b"}}}, "`#/own/b` leads nowhere"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema, sentence):
    pattern = sentence.replace("$defs", r"\$defs")
    with pytest.raises(UserError, match=rf"annotation.steps.0.json_schema: .*{pattern}"):
        check_steps({"prompt": "{document}", "out": "rationale", "json_schema": schema})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"$ref": {"type": "string"}}, "required": ["$ref"]},
        {"$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "$ref": "#/$defs/tree"},
        {"$defs": {"tree": {"$anchor": "tree", "items": {"$ref": "#tree"}}}, "$ref": "#tree"},
        {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 3, "exclusiveMinimum": True},
    ],
)
def test_schemas_of_all_drafts_may_refer_to_themselves(schema):
    check_steps({"prompt": "{document}", "out": "rationale", "json_schema": schema})


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (
            "{nothing}",
            r"steps.1.prompt: `{nothing}` is neither .*; .*, prompt, document, test_set, findings$",
        ),
        ({"prompt": "{document}", "system": "{all}", "out": "rationale"}, r"steps.1.system: `{all}` is neither"),
        ("{rationale}", r"steps.1.prompt: `{rationale}` is neither"),
        ("{references}", r"steps.1.prompt: `{references}` is neither"),
        ("{label}", r"steps.1.prompt: `{label}` is neither"),
        (
            {"prompt": "{document}", "out": "id"},
            r"steps.1.out: `id` is a field of the records; give the answer another",
        ),
        ({"prompt": "{document}", "out": "document"}, r"steps.1.out: `document` is a field"),
        ({"prompt": "{document}", "out": "group"}, r"steps.1.out: `group` is a field"),
    ],
)
def test_names_in_steps_are_checked_before_anything_runs(step, sentence):
    findings, last = {"prompt": "{document}", "out": "findings"}, {"prompt": "{findings}", "out": "rationale"}
    steps = [findings, step, last] if isinstance(step, dict) and step["out"] != "rationale" else [findings, step]
    with pytest.raises(UserError, match=f"tasks.multiclinsum.annotation.{sentence}"):
        check_steps(*steps)


def test_a_rationale_may_be_made_shorter():
    check_steps("{document} {{}} {target}", {"prompt": "Shorten: {rationale}", "out": "short"})


SMALL = {
    "creditmix": {"rows": 200, "splits": {"test_rows": 15, "val_rows": 15, "teacher_share": 0.5}},
    "dolly": {"rows": 60, "test_rows": 4, "splits": {"val_rows": 5, "teacher_share": 0.5}},
    "multiclinsum": {"rows": 60, "splits": {"test_frac": 0.2, "val_frac": 0.2, "teacher_share": 0.3}},
}


@pytest.mark.parametrize("name", SMALL)
def test_the_fields_of_records_are_known(tmp_path, name):
    """What prompts may name is a text of every record that a configuration may have annotated."""
    task = TASKS[name]
    records, _ = prepare(task, tmp_path, max_bad_share=0.1, **SMALL[name])
    cropped, _ = prompted(task, records, **SMALL[name])
    assert {record.split for record in cropped} == {"teacher", "train", "validation", "test"}
    for record in cropped:
        assert set(task.text_fields) <= set(record.texts)
        assert Record.of(record.row()) == record


def test_prompts_are_filled():
    values = {"text": "a {b} {{c}}", "b": "no", "meta": {"line": 3}}
    assert fill("{text} and {{text}} {{{b}}}", values) == "a {b} {{c}} and {text} {no}"
    with pytest.raises(UserError, match=r"\{meta\}, but there is no text of this name; there are: text, b"):
        fill("{meta}", values)
