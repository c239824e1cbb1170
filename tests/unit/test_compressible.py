import re

import pytest

from pipestill.errors import UserError
from pipestill.plan.compressible import FAMILIES, check
from pipestill.settings.compression import Prune, Quantize
from support.compressible import KINDS, small

QWEN2 = {
    "model_type": "qwen2",
    "hidden_size": 128,
    "num_attention_heads": 4,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
}


def problem(config, prune=None, quantize=None):
    with pytest.raises(UserError) as error:
        check(config, prune, quantize)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("architecture", KINDS)
def test_models_that_can_have_it(architecture):
    config = small(architecture).config.to_dict()
    for kind in ("magnitude", "wanda", "2:4", "depth", "width"):
        check(config, Prune(kind=kind), Quantize(scheme="int4", group=32))


def test_another_architecture():
    assert re.match(
        "models of the architecture `gpt2` cannot be compressed, only qwen2", problem({"model_type": "gpt2"})
    )
    assert "gpt2" not in FAMILIES


def test_a_group_that_divides_no_width():
    assert "48 weights do not divide the 128 inputs of a layer" in problem(
        QWEN2, None, Quantize(scheme="int4", group=48)
    )
    assert "take a number that divides 128" in problem(QWEN2, None, Quantize(scheme="int4", group=256))
    check(QWEN2, None, Quantize(scheme="int8", group=48))  # has no groups
    check(QWEN2, None, Quantize(scheme="int4", group=128))
    wide = QWEN2 | {"head_dim": 20}
    assert "the 80 inputs" in problem(wide, None, Quantize(scheme="int2", group=32))


def test_a_group_that_does_not_divide_what_pruning_leaves():
    third = Prune(kind="width", amount=0.3)
    message = problem(QWEN2, third, Quantize(scheme="int4"))
    assert "32 weights do not divide the 269 inputs of a layer of the pruned model" in message
    assert message.endswith("prune another share, which leaves a multiple of it, or take `int8`")  # 269 is a prime
    check(QWEN2, Prune(kind="width", amount=0.75), Quantize(scheme="int4"))


def test_amounts_that_leave_nothing_or_everything():
    assert "0.9 of 4 layers are 4" in problem(QWEN2, Prune(kind="depth", amount=0.9))
    assert "0.1 of 4 layers are 0" in problem(QWEN2, Prune(kind="depth", amount=0.1))
    assert "0.999 of 384 channels are 384" in problem(QWEN2, Prune(kind="width", amount=0.999))


def test_two_of_four_needs_widths_that_4_divides():
    assert "one here has 130" in problem(QWEN2 | {"intermediate_size": 130}, Prune(kind="2:4"))


def test_a_model_that_is_quantised_already():
    assert "quantised already" in problem(QWEN2 | {"quantization_config": {"a": 1}})
