"""Model directories by hand: a trained one tells how the model is asked, any other one is taken as it is."""

import shutil

from pipestill.inference.target import find_target
from pipestill.io.files import SHA256SUMS, read_json, sha256, verify_sha256sums
from pipestill.io.records import write_jsonl
from pipestill.settings.models import HardwareConfig
from pipestill.settings.prompts import Prompt
from pipestill.training.files import Inputs
from pipestill.training.run import train
from support.models import make_directory
from support.training_job import make_settings, outputs_in


def test_a_copied_model_is_asked_with_the_prompt_that_it_was_trained_on(tmp_path):
    base, rows = make_directory(tmp_path / "results/models/base"), tmp_path / "rows.jsonl"
    write_jsonl(rows, [{"id": str(n), "input": f"Age: {n}.0 mix:", "output": " fine"} for n in range(8)])
    prompt = Prompt(text="{features} mix:", render="raw", verbalizers={"Good": "fine"})
    settings = make_settings("sft", adaptation="full", max_steps=1, evaluations=1)
    settings = settings.model_copy(update={"prompt": prompt, "hardware": HardwareConfig(device="cpu")})
    outputs = outputs_in(tmp_path / "run")
    train(settings, Inputs(rows, rows, base), outputs, 1, threads=1)
    copied = tmp_path / "elsewhere"
    shutil.copytree(outputs.model, copied)
    assert find_target(str(copied), tmp_path / "results", "creditmix").settings.asking.prompt == prompt


def test_a_directory_without_checksums_is_taken_into_the_results(tmp_path):
    own, results = make_directory(tmp_path / "my-model", seal=False), tmp_path / "results"
    target = find_target(str(own), results, "creditmix")
    assert target.base.parent == results / "models" and target.model is None and not (own / SHA256SUMS).exists()
    assert verify_sha256sums(target.base)
    digests = read_json(target.base / "provenance.json")["files"]
    assert digests["model.safetensors"] == sha256(own / "model.safetensors")
    assert find_target(str(own), results, "creditmix").base == target.base
    shutil.copy(make_directory(tmp_path / "other", seed=1) / "model.safetensors", own)
    changed = find_target(str(own), results, "creditmix").base
    assert changed != target.base
    assert read_json(changed / "provenance.json")["files"]["model.safetensors"] == sha256(own / "model.safetensors")
