"""Sizes and speeds of the models of a study."""

import shutil

import torch
from safetensors.torch import load_file, save_file

from pipestill.inference import sizes
from pipestill.inference.sizes import measure_sizes
from support.models import make_directory

SPEED = {
    **dict(fast_layers=0, prefill_tokens_a_second=100.0, decode_tokens_a_second=10.0),
    **dict(peak_memory_mb=1.0),
}


def test_models_of_one_shape_are_timed_once(tmp_path, tiny_model_dir, monkeypatch):
    asked = []
    monkeypatch.setattr(sizes, "speed", lambda base, model: asked.append(model) or SPEED)
    other = make_directory(tmp_path / "other", seed=3)
    found = measure_sizes("made", {"base": (tiny_model_dir, tiny_model_dir), "other": (other, other)})
    assert asked == [None]
    assert {name: row.timed for name, row in found.rows.items()} == {"base": "base", "other": "base"}
    row = found.rows["base"]
    assert row.bytes_on_disk == (tiny_model_dir / "model.safetensors").stat().st_size
    assert row.bits_a_weight == round(8 * row.bytes_on_disk / row.parameters, 2)
    assert 0 < row.nonzero_weights <= row.parameters


def test_floats_of_another_size_are_timed_alike_and_whole_numbers_are_not(tmp_path, tiny_model_dir, monkeypatch):
    asked = []
    monkeypatch.setattr(sizes, "speed", lambda base, model: asked.append(base) or SPEED)
    tensors, models = load_file(tiny_model_dir / "model.safetensors"), {"base": (tiny_model_dir, tiny_model_dir)}
    for kind in (torch.bfloat16, torch.int8):
        directory = tmp_path / str(kind)
        shutil.copytree(tiny_model_dir, directory)
        save_file({name: tensor.to(kind) for name, tensor in tensors.items()}, directory / "model.safetensors")
        models[str(kind)] = directory, directory
    measure_sizes("made", models)
    assert asked == [tiny_model_dir, tmp_path / "torch.int8"]
