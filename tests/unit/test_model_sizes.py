"""Sizes and speeds of the models of a study."""

import shutil

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


def test_another_number_format_is_timed_again(tmp_path, tiny_model_dir, monkeypatch):
    from safetensors.torch import load_file, save_file

    asked = []
    monkeypatch.setattr(sizes, "speed", lambda base, model: asked.append(base) or SPEED)
    half = tmp_path / "half"
    shutil.copytree(tiny_model_dir, half)
    tensors = load_file(half / "model.safetensors")
    save_file({name: tensor.bfloat16() for name, tensor in tensors.items()}, half / "model.safetensors")
    measure_sizes("made", {"base": (tiny_model_dir, tiny_model_dir), "half": (half, half)})
    assert asked == [tiny_model_dir, half]
