"""What a job that compresses does to a model before it is trained."""

from types import SimpleNamespace

import pytest

from pipestill.compression.structure import linear_layers
from pipestill.errors import UserError
from pipestill.settings.compression import Prune, Quantize
from pipestill.training.compress import Compression, KeepZeros
from support.compressible import small

JOB = SimpleNamespace(inputs=SimpleNamespace(init=None))


def compression(prune=None, quantize=None):
    return Compression(SimpleNamespace(prune=prune, quantize=quantize, trains=True))


def test_what_a_model_cannot_have_is_refused_before_its_training():
    own = compression(quantize=Quantize(scheme="int4", group=48))
    with pytest.raises(UserError, match=r"^quantize\.group: 48 weights do not divide"):
        own.start(small("qwen2"), JOB, None)


@pytest.mark.parametrize("qat", [True, False])
def test_zeros_are_held_in_training(qat):
    own = compression(Prune(kind="magnitude"), Quantize(scheme="int4", qat=qat))
    model = own.start(small("qwen2"), JOB, SimpleNamespace(rows=[]))
    (keep,) = own.callbacks(model)
    assert isinstance(keep, KeepZeros)
    layers = linear_layers(model).values()
    for layer in layers:
        layer.weight.data += 1
    keep.on_optimizer_step(None, None, None)
    assert all(float((layer.weight == 0).float().mean()) == 0.5 for layer in layers)


def test_nothing_is_held_where_nothing_was_pruned():
    own = compression(quantize=Quantize(scheme="int4", qat=True))
    assert own.callbacks(own.start(small("qwen2"), JOB, None)) == []
