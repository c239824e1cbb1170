"""The key is in the Authorization header, and nowhere else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipestill.annotation.annotate import annotate
from pipestill.annotation.redaction import read_key, redact
from pipestill.errors import UserError
from pipestill.settings.annotation import AnnotationConfig
from support.annotation import KEY, serve, settings, write_records

SCRIPT = Path(__file__).parents[2] / "workflow_scripts" / "annotate.py"
OTHER_KEY = "plain-key-without-a-prefix-42"


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_no_file_and_no_log_holds_the_key(tmp_path, key, monkeypatch):
    """Faults that echo the key, with the client's own log at its most talkative."""
    monkeypatch.setenv("PROVIDER_KEY", key)
    faults = {
        "one": ["hidden_rate_limit", "empty"],
        "two": ["bad_request"] * 9,
        "four": ["html"],
        "three": ["forbidden"],
    }
    with serve(faults) as server:
        records = write_records(tmp_path / "records.jsonl", ["one", "two", "four", "three"])
        changed = settings(server.url, tmp_path, key_variable="PROVIDER_KEY", concurrency=1)
        command = [
            sys.executable,
            SCRIPT,
            "--task",
            "task",
            "--records",
            records,
            "--settings",
            changed.model_dump_json(),
        ]
        command += ["--output", tmp_path / "out.jsonl", "--usage", tmp_path / "usage.json"]
        environment = os.environ | {"OPENAI_LOG": "debug", "OPENAI_CUSTOM_HEADERS": "X-Other: of another program"}
        with open(tmp_path / "log", "w") as log:
            process = subprocess.run(list(map(str, command)), stdout=log, stderr=log, env=environment)
    assert process.returncode == 4
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {key}"}
    assert not any("X-Other" in headers for headers in server.headers)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"ledger.jsonl", "calls.jsonl", "log"} <= {path.name for path in files}
    for path in files:
        assert key not in path.read_text(), path
        assert key[:20] not in path.read_text(), path
    log = (tmp_path / "log").read_text()
    assert "no answer for r1: rejected" in log
    assert "the provider refuses every request: key" in log
    assert log.count("[redacted]") == 2


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_dead_letters_do_not_hold_the_key(tmp_path, key, monkeypatch):
    monkeypatch.setenv("PROVIDER_KEY", key)
    with serve({"one": ["hidden_rate_limit"] * 9}) as server, pytest.raises(UserError) as error:
        annotate(
            settings(server.url, tmp_path, key_variable="PROVIDER_KEY", max_attempts=2),
            "task",
            write_records(tmp_path / "records.jsonl", ["one"]),
            None,
            tmp_path / "out",
            tmp_path / "usage",
        )
    dead = (tmp_path / "ledger/task/dead.jsonl").read_text()
    assert "upstream, [redacted]" in dead
    assert key not in dead + str(error.value)


def test_a_key_in_the_configuration_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PROVIDER_KEY", OTHER_KEY)
    changed = settings("http://127.0.0.1:9/v1", tmp_path, key_variable="PROVIDER_KEY", extra_body={"user": OTHER_KEY})
    with pytest.raises(UserError, match="the key in PROVIDER_KEY also stands in the configuration") as error:
        annotate(changed, "t", write_records(tmp_path / "r", ["a"]), None, tmp_path / "o", tmp_path / "u")
    assert OTHER_KEY not in str(error.value)
    with pytest.raises(ValueError, match="looks like a secret key") as error:
        settings("http://127.0.0.1:9/v1", tmp_path, extra_body={"user": KEY})
    assert error.value.errors()[0]["msg"].count("sk-") == 0


@pytest.mark.parametrize(
    ("value", "sentence"), [(None, "is not set"), ("  ", "is not set"), ("sk-a\nb-0123", "odd"), ("pw1", "too short")]
)
def test_what_is_no_key_is_refused_without_being_shown(monkeypatch, value, sentence):
    monkeypatch.delenv("PROVIDER_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("PROVIDER_KEY", value)
    with pytest.raises(UserError, match=sentence) as error:
        read_key("PROVIDER_KEY")
    assert value is None or value.strip() == "" or value not in str(error.value)


def test_redaction():
    text = f"Incorrect API key provided: sk-or-v1*****cdef.\n Authorization: Bearer {KEY}; see {OTHER_KEY}"
    assert redact(text, OTHER_KEY) == (
        "Incorrect API key provided: [redacted] Authorization: [redacted] see [redacted]"
    )
    assert redact("task-force skin sk-1", None) == "task-force skin sk-1"


def test_the_key_of_openrouter_is_needed_when_something_is_sent_there():
    steps = [{"prompt": "{text}", "out": "rationale"}]
    hosted = AnnotationConfig(provider="openrouter", model="m", steps=steps)
    assert hosted.key_name() == "OPENROUTER_API_KEY"
    assert hosted.model_copy(update={"replay": True}).key_name() is None
    assert AnnotationConfig(provider="local", model="demo-teacher", steps=steps).key_name() is None


def test_options_for_clinical_text_go_to_openrouter_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    records = write_records(tmp_path / "records.jsonl", ["one"])
    with serve() as server:
        monkeypatch.setattr("pipestill.annotation.annotate.OPENROUTER", server.url)
        changes = {"base_url": None, "provider": "openrouter", "price": {"input": 0.3, "output": 0.4}}
        hosted = settings(None, tmp_path, **changes)
        annotate(hosted, "hosted", records, None, tmp_path / "o", tmp_path / "u")
        annotate(settings(server.url, tmp_path), "other", records, None, tmp_path / "o", tmp_path / "u")
    first, second = server.bodies
    assert first["provider"] == {
        "data_collection": "deny",
        "zdr": True,
        "enforce_distillable_text": True,
        "allow_fallbacks": True,
        "max_price": {"prompt": 0.3, "completion": 0.4},
    }
    assert set(second) == {"model", "messages", "max_tokens", "temperature"}
    [row] = [json.loads(line) for line in (tmp_path / "ledger/hosted/ledger.jsonl").read_text().splitlines()]
    assert row["parameters"]["routing"]["zdr"] is True
    assert "max_price" not in row["parameters"]["routing"], "another price is no other question"
