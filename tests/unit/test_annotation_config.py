"""What the section `annotation` accepts."""

import pytest

from pipestill.annotation.prompts import fill
from pipestill.config.annotation import AnnotationConfig
from pipestill.errors import UserError

GOOD = {"provider": "openrouter", "model": "m", "steps": [{"prompt": "{text}", "out": "rationale"}]}
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
        {"provider": "local", "steps": [{"prompt": "List the findings:\n{text}\n", "out": "rationale"}]},
        ENDPOINT | {"steps": [{"prompt": "Case: {text}\nList the findings.", "out": "rationale"}]},
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
        ({"steps": [{"prompt": "{text}", "out": "summary"}]}, "must have `out: rationale`"),
        ({"steps": GOOD["steps"] * 2}, "the same `out`"),
        ({"steps": [{"prompt": "{text}", "out": "rationale", "pattern": "("}]}, "not a regular expression"),
        (
            {"provider": "local", "steps": [{"prompt": "{text}", "out": "rationale", "system": "Be brief."}]},
            "trained to answer one question",
        ),
        (
            {"provider": "local", "steps": [{"prompt": "Case: {text}\nList the findings.", "out": "rationale"}]},
            r"let `prompt` end with a field such as `\{text\}`",
        ),
        ({"splits": ["test"]}, "'train' or 'validation'"),
        ({"extra_body": {"note": "sk-or-v1-0123456789abcdef"}}, "looks like a secret key"),
    ],
)
def test_bad_settings(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        AnnotationConfig.model_validate(GOOD | change)


def test_prompts_are_filled():
    values = {"text": "a {b} {{c}}", "b": "no", "meta": {"line": 3}}
    assert fill("{text} and {{text}} {{{b}}}", values) == "a {b} {{c}} and {text} {no}"
    with pytest.raises(UserError, match=r"\{meta\}, but there is no text of this name; there are: text, b"):
        fill("{meta}", values)
