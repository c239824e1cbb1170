"""Exported models are uploaded to a hub of our own, and a refusal is one sentence."""

from types import SimpleNamespace

import pytest

from pipestill.errors import UserError
from pipestill.export.push import check_push, push
from support.uploads import TOKEN, serve_uploads

REPO = "someone/my-model"
HOME = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture
def hub(monkeypatch):
    import huggingface_hub.constants as constants

    for variable in HOME:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the client's own attempts
    with serve_uploads() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # a protocol of its own beside LFS
        yield server


@pytest.fixture
def model(tmp_path):
    directory = tmp_path / "my model"
    directory.mkdir()
    (directory / "README.md").write_text("---\nlicense: apache-2.0\n---\n\n# My model\n")
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").write_bytes(bytes(range(256)) * 100)
    return directory


def of(directory):
    return {(REPO, path.name): path.read_bytes() for path in directory.iterdir()}


def test_a_model_is_uploaded_to_a_private_repository(hub, model):
    assert push(model, REPO, private=True) == f"{hub.url}/{REPO}"
    assert hub.private == {REPO: True} and hub.files == of(model)
    (model / "config.json").write_text('{"changed": true}')
    push(model, REPO, private=False)
    assert hub.private == {REPO: True} and hub.files == of(model)


def test_a_repository_is_public_where_that_is_asked_for(hub, model):
    push(model, REPO, private=False)
    assert hub.private == {REPO: False}


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/create", 401, "the hub does not know the token in HF_TOKEN"),
        ("/create", 403, "the token in HF_TOKEN may not write there"),
        ("/preupload/main", 404, "the hub has no such owner or repository"),
        ("/commit/main", 400, "Bad request"),
        ("/batch", 403, "may not write there"),
    ],
)
def test_a_refusal_is_one_sentence_and_says_how_to_go_on(hub, model, path, status, message):
    hub.refuse = (path, status)
    with pytest.raises(UserError) as refusal:
        push(model, REPO, private=True)
    text = str(refusal.value)
    assert text.startswith(f"{REPO}: ") and message in text and "\n" not in text and TOKEN not in text
    assert text.endswith(f"{model} is whole, and `hf upload {REPO} '{model}' --private` uploads it")


def test_a_hub_that_is_not_there(hub, model, monkeypatch):
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"the hub cannot be reached \(ConnectError\)"):
        push(model, REPO, private=True)


@pytest.mark.parametrize(
    ("repo", "token", "merge", "message"),
    [
        ("my-model", TOKEN, True, "cannot be a repository of the hub"),
        (REPO, "", True, "there is no HF_TOKEN in the environment"),
        (REPO, TOKEN, False, "is only on this machine: add `--merge`"),
    ],
)
def test_what_cannot_be_uploaded_is_refused_before_any_work(monkeypatch, repo, token, merge, message):
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(UserError, match=message):
        check_push(repo, SimpleNamespace(adapter=True, revision=None, base="demo-student"), merge)
