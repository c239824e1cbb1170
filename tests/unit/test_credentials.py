"""Keys and addresses that log in are refused, and what is written of an address is public."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipestill.annotation.redaction import redact
from pipestill.errors import UserError
from pipestill.layouts.fetch import fetch
from pipestill.layouts.taking import take_files
from pipestill.plan.check import check
from pipestill.plan.secrets import refuse_secrets
from pipestill.settings.data import FileConfig
from pipestill.text.credentials import has_key, has_login, hide, public, publish

ROOT = Path(__file__).parents[2]
BODY = "0123456789abcdefABCDEF0123456789abcd"
KEYS = [
    *(f"{maker}{BODY}" for maker in ("sk-", "sk-ant-api03-", "sk-or-v1-", "sk-proj-", "hf_", "ghp_", "gho_", "gsk_")),
    *(f"{maker}{BODY}" for maker in ("github_pat_", "glpat-", "AIzaSy", "r8_", "xai-", "nvapi-", "pplx-", "sk_live_")),
    "AKIA0123456789ABCDEF",
    "xoxb-123456789012-abcdefghij",
    "ya29.a0AfH6SMBx0123456789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def",
    "-----BEGIN RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_all_makers_are_known(key):
    for text in (key, f"({key})", f"key={key},", f'"{key}"'):
        assert has_key(text)
        assert key not in hide(text)
        assert key not in redact(f"no account for {text}", None)
    with pytest.raises(UserError, match=r"config: tasks\.x\.note: this looks like a secret key") as error:
        refuse_secrets({"tasks": {"x": {"note": f"mine: {key}"}}})
    assert key not in str(error.value)


@pytest.mark.parametrize(
    "text", ["task-force", "sk-1", "hf_internal", "ghp_", "ASIAPACIFICREGION", "disk-" + BODY, "hf"]
)
def test_other_words_are_no_keys(text):
    assert not has_key(text)


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("https://me:word@example.org/a.json", "https://example.org/a.json"),
        ("https://me@example.org/a.json", "https://example.org/a.json"),
        ("https://example.org/a.json?token=abc", "https://example.org/a.json"),
        ("https://example.org/a.json?x=1&X-Amz-Signature=abc&X-Amz-Credential=c", "https://example.org/a.json"),
        ("https://example.org/a.json?sv=1&sig=abc", "https://example.org/a.json"),
        ("https://example.org/a.json?download_key=1;access_token=abc", "https://example.org/a.json"),
        ("ftp://me:w%40rd@example.org/a", "ftp://example.org/a"),
    ],
)
def test_addresses_that_log_in_are_refused(address, written):
    assert has_login(address)
    assert public(address) == written
    with pytest.raises(UserError, match=r"config: tasks\.x\.0\.url: this address holds") as error:
        refuse_secrets({"tasks": {"x": [{"url": address}]}})
    assert "abc" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/a.json?download=true&author=x",
        "https://example.org/@me/a.json",
        "Write to me@example.org, or see https://example.org",
        "{document} key=value ?token",
        " ",
    ],
)
def test_other_texts_are_taken(text):
    refuse_secrets({"models": {"a": text}, "seeds": [1, None, 2.0]})


def test_a_configuration_that_holds_itself_is_passed_through_once():
    config = {"a": "b"}
    config["self"] = [config]
    refuse_secrets(config)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("tasks.dolly.data.test_sets.extra.url", "https://me:word@example.org/a.json"),
        ("tasks.creditmix.data.url", "https://example.org/a.json?token=word"),
        ("tasks.multiclinsum.annotation.base_url", "https://me:word@example.org/v1"),
        ("models.demo-student.repo", "https://me:word@example.org/repo"),
        ("models.demo-student.path", f"hf_{BODY}"),
    ],
)
def test_the_check_of_a_configuration_looks_everywhere(path, value):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    section = config
    *above, last = path.split(".")
    for name in above:
        section = section.setdefault(name, {})
    section[last] = value
    with pytest.raises(UserError, match=rf"^config: {path}: this ") as error:
        check(config)
    assert "word" not in str(error.value).replace("password", "")


def test_queries_are_in_no_file(tmp_path):
    source = tmp_path / "source.json"
    source.write_text("[]")
    address = f"file://{source}?version=17#here"
    assert publish({"url": [address], "note": "a? b", "n": 1}) == {"url": [f"file://{source}"], "note": "a? b", "n": 1}
    resolved = [sys.executable, ROOT / "workflow_scripts/resolved_config.py", "--output", tmp_path / "config.yaml"]
    subprocess.run([*map(str, resolved), "--config", json.dumps({"url": address})], check=True)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == {"url": f"file://{source}"}


def test_queries_are_in_no_manifest_and_no_message(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pipestill.layouts.taking.fetch", lambda url, path, digest=None: path.write_text("[]"))
    place = tmp_path / "raw" / "data.json"
    place.parent.mkdir()
    taken = take_files({place: FileConfig(url="https://example.org/a.json?version=17")}, tmp_path / "raw")
    assert taken[place]["origin"] == "https://example.org/a.json"
    assert "version" not in capsys.readouterr().out
    for address in (
        "ftp://example.org/a?version=17",
        "http://127.0.0.1:9/a b?version=17",
        "file:///nowhere?version=17",
    ):
        with pytest.raises(UserError) as error:
            fetch(address, tmp_path / "a")
        assert "version" not in str(error.value)
