import json
import os
import runpy
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from pipestill.errors import UserError
from pipestill.io.files import SHA256SUMS, sha256, verify_sha256sums, write_sha256sums
from pipestill.io.lock import exclusive
from pipestill.models.loading import load_base_model, load_tokenizer
from pipestill.models.provide import provide_base_model, wanted
from pipestill.settings.models import BaseModelConfig
from support.hub import REPO, REVISION, serve
from support.models import CPU, make_directory

ROOT = Path(__file__).parents[2]
HUB = BaseModelConfig(source="hub", repo=REPO, revision=REVISION)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_directory(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def hub(tmp_path, base, monkeypatch):
    """The tiny model on a hub of our own, with things beside it that nobody needs, and an empty cache."""
    import huggingface_hub.constants as constants

    root = tmp_path / "hub"
    shutil.copytree(base, root, ignore=shutil.ignore_patterns(SHA256SUMS))
    (root / "onnx").mkdir()
    (root / "onnx" / "model.safetensors").write_bytes(b"not needed")
    for name in ("tf_model.h5", "pytorch_model.bin", "modeling_tiny.py"):
        (root / name).write_bytes(b"not needed")
    (root / "README.md").write_text("# Tiny\n")
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "HF_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    with serve(root) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield server


def path_config(path):
    return BaseModelConfig(source="path", path=str(path))


def read(path):
    return json.loads(path.read_text())


def rewrite(path, **values):
    path.write_text(json.dumps(read(path) | values))


def pickle_weights(directory, shards=1):
    """Replace safetensors by what older repositories hold: tied tensors share memory in the pickle."""
    from safetensors.torch import load_file

    state = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    norm = torch.randn(4, state["model.norm.weight"].numel())
    norm[1] = state["model.norm.weight"]
    state["model.norm.weight"] = norm[1]  # a view into a larger storage
    names = sorted(state)
    if shards == 1:
        torch.save(state, directory / "pytorch_model.bin")
        return
    index = {}
    for number in range(shards):
        file = f"pytorch_model-{number + 1:05}-of-{shards:05}.bin"
        part = {name: state[name] for name in names[number::shards]}
        torch.save(part, directory / file)
        index |= dict.fromkeys(part, file)
    (directory / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def weights(directory):
    return load_base_model(directory, CPU).state_dict()


def assert_same_weights(one, two):
    one, two = weights(one), weights(two)
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_wanted():
    common = ["config.json", "tokenizer.json", "merges.txt", "spiece.model", "chat_template.jinja", "LICENSE.txt"]
    others = [
        "notes.txt",
        "training_args.bin",
        "tf_model.h5",
        "model.fp16.safetensors",
        "onnx/model.safetensors",
        "original/config.json",
        "code.py",
        "profile.json",
        "consolidated.safetensors",
    ]
    index, pickle_index = "model.safetensors.index.json", "pytorch_model.bin.index.json"
    safe = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", index]
    pickles = ["pytorch_model-00001-of-00001.bin", pickle_index]
    assert wanted(common + others + safe + pickles) == sorted(common + safe)
    assert wanted(common + others + pickles) == sorted(common + pickles)


def test_from_a_sealed_path(tmp_path, base):
    provide_base_model(path_config(base), tmp_path / "out")
    digest = verify_sha256sums(tmp_path / "out")
    assert_same_weights(tmp_path / "out", base)
    assert read(tmp_path / "out" / "provenance.json") == {
        "kind": "causal",
        "source": "path",
        "name": "base",
        "sha256sums": verify_sha256sums(base),
        "converted": [],
        "bos": "auto",
        "date": "2024-07-26",
    }
    profile = read(tmp_path / "out" / "profile.json")
    assert profile["total_parameters"] == sum(p.numel() for p in load_base_model(base, CPU).parameters())
    assert profile["trainable_parameters"] == 0 and profile["parameter_bytes"] == {
        "float32": 4 * profile["total_parameters"]
    }
    provide_base_model(path_config(base), tmp_path / "again")
    assert verify_sha256sums(tmp_path / "again") == digest
    provide_base_model(path_config(tmp_path / "out"), tmp_path / "chained")  # what was provided can be provided
    for path in (tmp_path / "out").iterdir():
        assert str(tmp_path).encode() not in path.read_bytes() and str(base).encode() not in path.read_bytes()


def test_bad_paths(tmp_path, base):
    with pytest.raises(UserError, match="nowhere does not exist"):
        provide_base_model(path_config(tmp_path / "nowhere"), tmp_path / "out")
    copy = tmp_path / "copy"
    shutil.copytree(base, copy)
    (copy / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"config.json does not match"):
        provide_base_model(path_config(copy), tmp_path / "out")
    write_sha256sums(copy)
    with pytest.raises(UserError, match="does not describe a language model"):
        provide_base_model(path_config(copy), tmp_path / "out")
    shutil.copy(base / "config.json", copy)
    content = (base / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(content[: len(content) // 2])
    write_sha256sums(copy)
    with pytest.raises(UserError, match=r"model.safetensors of base model .*copy is damaged"):
        provide_base_model(path_config(copy), tmp_path / "out")
    (copy / "model.safetensors").unlink()
    write_sha256sums(copy)
    with pytest.raises(UserError, match="holds no weights"):
        provide_base_model(path_config(copy), tmp_path / "out")
    (copy / "config.json").unlink()
    write_sha256sums(copy)
    with pytest.raises(UserError, match=r"has no config.json"):
        provide_base_model(path_config(copy), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_files_of_a_path_without_checksums_are_digested(tmp_path, base):
    copy = tmp_path / "my model"
    shutil.copytree(base, copy, ignore=shutil.ignore_patterns(SHA256SUMS))
    (copy / "training_args.bin").write_bytes(b"not needed")
    provide_base_model(path_config(copy), tmp_path / "out")
    assert_same_weights(tmp_path / "out", base)
    provenance = read(tmp_path / "out" / "provenance.json")
    assert "sha256sums" not in provenance and not (copy / SHA256SUMS).exists()
    assert provenance["files"] == {name: sha256(copy / name) for name in wanted(path.name for path in base.iterdir())}


def test_a_pickle_without_checksums_is_refused_with_the_command_that_makes_them(tmp_path, base):
    copy = tmp_path / "my model's copy"
    shutil.copytree(base, copy)
    (copy / SHA256SUMS).unlink()
    pickle_weights(copy)
    (copy / "more notes").mkdir()
    (copy / "more notes" / "a file.txt").write_text("notes")
    (copy / ".hidden").write_text("not listed")
    (copy / "linked.txt").symlink_to(base / "config.json")  # as in the hub's cache
    with pytest.raises(UserError, match=rf"\(pytorch_model.bin\), which could .* no {SHA256SUMS}.*: cd ") as refusal:
        provide_base_model(path_config(copy), tmp_path / "out")
    command = str(refusal.value)[str(refusal.value).index("cd ") :]
    subprocess.run(command, shell=True, check=True)
    by_hand = verify_sha256sums(copy)
    listed = {line.partition("  ")[2] for line in (copy / SHA256SUMS).read_text().splitlines()}
    kept = {path.name for path in base.iterdir()} - {SHA256SUMS, "model.safetensors"}
    assert listed == kept | {"pytorch_model.bin", "more notes/a file.txt", "linked.txt"}
    provide_base_model(path_config(copy), tmp_path / "out")
    assert read(tmp_path / "out" / "provenance.json")["sha256sums"] == by_hand


def test_a_job_that_outlived_its_workflow_is_waited_for(tmp_path, base):
    done = []

    def provide():
        provide_base_model(path_config(base), tmp_path / "out")
        done.append("job")

    with exclusive(tmp_path / "out"):
        job = threading.Thread(target=provide)
        job.start()
        time.sleep(0.3)
        assert not list(tmp_path.glob("out*/"))
        done.append("orphan")
    job.join()
    assert done == ["orphan", "job"]
    verify_sha256sums(tmp_path / "out")


def test_special_tokens_are_written(tmp_path, base):
    """Two ends in the config and no generation config, as some hub models have them; no padding token."""
    copy = make_directory(tmp_path / "copy", seal=False, pad=None)
    start, end = load_tokenizer(base).convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    rewrite(copy / "config.json", eos_token_id=start, pad_token_id=None)
    (copy / "generation_config.json").unlink()
    write_sha256sums(copy)
    provide_base_model(path_config(copy), tmp_path / "out")
    for name in ("config.json", "generation_config.json"):
        value = read(tmp_path / "out" / name)
        assert (value["pad_token_id"], value["eos_token_id"]) == (end, [end, start])
    assert read(tmp_path / "out" / "tokenizer_config.json")["pad_token"] == "<|im_end|>"
    assert load_base_model(tmp_path / "out", CPU).generation_config.eos_token_id == [end, start]


def test_from_the_hub(tmp_path, hub, base):
    provide_base_model(HUB, tmp_path / "out")
    assert_same_weights(tmp_path / "out", base)
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja", "README.md"} <= hub.fetched()
    assert not {"tf_model.h5", "pytorch_model.bin", "modeling_tiny.py"} & hub.fetched()
    assert not any("onnx" in path for _, path, _ in hub.requests)
    provenance = read(tmp_path / "out" / "provenance.json")
    origin = {"kind": "causal", "source": "hub", "repo": REPO, "revision": REVISION, "converted": []}
    assert provenance == origin | {"bos": "auto", "date": "2024-07-26"}
    verify_sha256sums(tmp_path / "out")


@pytest.mark.parametrize("shards", [1, 3])
def test_pickles_are_converted_once(tmp_path, hub, base, shards):
    (hub.root / "pytorch_model.bin").unlink()
    pickle_weights(hub.root, shards)
    provide_base_model(HUB, tmp_path / "out")
    assert_same_weights(tmp_path / "out", base)
    assert not list((tmp_path / "out").glob("*.bin*"))
    rows = read(tmp_path / "out" / "provenance.json")["converted"]
    assert len(rows) == shards and sum(row["tensors"] for row in rows) == len(weights(base))
    for row in rows:
        assert row["from"].endswith(".bin") and (tmp_path / "out" / row["to"]).is_file()
    if shards > 1:
        index = read(tmp_path / "out" / "model.safetensors.index.json")["weight_map"]
        assert set(index.values()) == {row["to"] for row in rows}


def test_hostile_and_damaged_pickles(tmp_path, hub):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    (hub.root / "model.safetensors").unlink()
    pickle = hub.root / "pytorch_model.bin"
    torch.save({"weight": torch.zeros(2), "bad": Hostile()}, pickle)
    with pytest.raises(UserError, match=r"pytorch_model.bin is damaged or holds more than tensors"):
        provide_base_model(HUB, tmp_path / "out")
    assert not (tmp_path / "harm").exists() and not (tmp_path / "out").exists()
    shutil.rmtree(tmp_path / "cache")
    torch.save({"nested": {"weight": torch.zeros(2)}}, pickle)
    with pytest.raises(UserError, match="not a mapping of names to tensors"):
        provide_base_model(HUB, tmp_path / "out")
    shutil.rmtree(tmp_path / "cache")
    pickle.write_bytes(pickle.read_bytes()[:100])
    with pytest.raises(UserError, match=r"pytorch_model.bin is damaged"):
        provide_base_model(HUB, tmp_path / "out")


def test_missing_shard(tmp_path, base):
    copy = tmp_path / "copy"
    shutil.copytree(base, copy, ignore=shutil.ignore_patterns(SHA256SUMS))
    (copy / "model.safetensors").rename(copy / "model-00001-of-00002.safetensors")
    index = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    write_sha256sums(copy)
    with pytest.raises(UserError, match=r"incomplete: model-00002-of-00002.safetensors is missing"):
        provide_base_model(path_config(copy), tmp_path / "out")


def test_a_download_that_breaks_off_is_resumed(tmp_path, hub, base, monkeypatch):
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 4096)  # what is kept at a break is whole chunks
    hub.cut.add("model.safetensors")
    provide_base_model(HUB, tmp_path / "out")
    assert_same_weights(tmp_path / "out", base)
    ranges = [part for method, path, part in hub.requests if method == "GET" and path.endswith("model.safetensors")]
    assert ranges[0] is None and ranges[-1] is not None and int(ranges[-1].strip("bytes=-")) > 0


def test_offline(tmp_path, hub, base, monkeypatch):
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=f"{REPO} at revision {REVISION} is not in the local cache.*HF_HUB_OFFLINE"):
        provide_base_model(HUB, tmp_path / "out")
    assert hub.requests == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    provide_base_model(HUB, tmp_path / "out")
    count = len(hub.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    provide_base_model(HUB, tmp_path / "again")  # from the cache, although not every file of the repository is there
    assert len(hub.requests) == count
    assert verify_sha256sums(tmp_path / "out") == verify_sha256sums(tmp_path / "again")


def test_unreachable(tmp_path, hub, monkeypatch):
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the hub client's own attempts
    with pytest.raises(UserError, match=r"not in the local cache.*ConnectError.*source: path"):
        provide_base_model(HUB, tmp_path / "out")


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (404, "RepoNotFound", "does not exist or is private"),
        (404, "RevisionNotFound", "no such commit"),
        (403, "GatedRepo", "accept its licence on the hub and set HF_TOKEN"),
        (400, "Strange", "could not be downloaded"),
    ],
)
def test_refusals_of_the_hub(tmp_path, hub, status, code, message):
    hub.refuse = (status, code)
    with pytest.raises(UserError, match=f"{REPO} at revision {REVISION}.*{message}"):
        provide_base_model(HUB, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_script(tmp_path, base, monkeypatch):
    script = str(ROOT / "workflow_scripts" / "base_model.py")
    model = json.dumps({"source": "path", "path": str(base), "kind": "causal", "repo": None, "revision": None})
    arguments = ["--name", "tiny", "--model", model, "--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    runpy.run_path(script, run_name="__main__")
    assert_same_weights(tmp_path / "out", base)


def test_the_script_on_a_mistake(tmp_path):
    script = str(ROOT / "workflow_scripts" / "base_model.py")
    arguments = [
        "--name",
        "tiny",
        "--model",
        '{"source": "path", "path": "nowhere"}',
        "--output",
        str(tmp_path / "out"),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, script, *arguments], env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 1 and result.stderr.startswith("error: models.tiny: base model directory nowhere does")
    assert result.stderr.count("\n") == 1
