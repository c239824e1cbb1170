"""What a model's config says about how it can be compressed, before there is any work."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any

from pipestill.errors import UserError
from pipestill.settings.compression import DYNAMIC, SMALLEST_GROUP, Prune, Quantize


@dataclass(frozen=True)
class Stack:
    """Layers of one kind, one behind another.

    Attributes:
        path: of the list of layers, below the model's body.
        layers: key of the config that counts them.
        feed_forward: path of the feed-forward part in a layer; empty where its parts are the layer's own.
    """

    path: str
    layers: str
    feed_forward: str


@dataclass(frozen=True)
class Family:
    """Where the models of some architectures have what can be cut, by names of ``transformers``.

    Attributes:
        stacks: of layers.
        channels: key of the config that counts the channels of a feed-forward part.
        into: linear layers that write the channels; those that a model has.
        out: linear layer that reads them.
        hidden: key of the config for the width of the states.
        heads: key of the config for the number of heads.
        head_width: key of the config for the width of a head; where it is not given, the heads share ``hidden``.
        first_stays: later layers need something that the first one has.
        flattens: its layers read rows and tokens as one axis, for which compressed-tensors knows no scale of a token.
    """

    stacks: tuple[Stack, ...]
    channels: str
    into: tuple[str, ...]
    out: str
    hidden: str = "hidden_size"
    heads: str = "num_attention_heads"
    head_width: str = "head_dim"
    first_stays: bool = False
    flattens: bool = False

    def inputs(self, config: Mapping[str, Any]) -> list[int]:
        """Numbers of inputs that the linear layers of the stacks have."""
        hidden, heads = config[self.hidden], config[self.heads]
        width = config.get(self.head_width) or hidden // heads
        return sorted({hidden, heads * width, config[self.channels]})


LLAMA = Family(
    stacks=(Stack("layers", "num_hidden_layers", "mlp"),),
    channels="intermediate_size",
    into=("gate_proj", "up_proj"),
    out="down_proj",
)
OPT = Family(
    stacks=(Stack("decoder.layers", "num_hidden_layers", ""),),
    channels="ffn_dim",
    into=("fc1",),
    out="fc2",
    flattens=True,
)
BERT = Family(
    stacks=(Stack("encoder.layer", "num_hidden_layers", ""),),
    channels="intermediate_size",
    into=("intermediate.dense",),
    out="output.dense",
)
T5 = Family(
    stacks=(
        Stack("encoder.block", "num_layers", "layer.1.DenseReluDense"),
        Stack("decoder.block", "num_decoder_layers", "layer.2.DenseReluDense"),
    ),
    channels="d_ff",
    into=("wi", "wi_0", "wi_1"),
    out="wo",
    hidden="d_model",
    heads="num_heads",
    head_width="d_kv",
    first_stays=True,  # it has the relative positions of all
)
FAMILIES: dict[str, Family] = {
    **dict.fromkeys(("qwen2", "qwen3", "llama", "mistral"), LLAMA),
    "opt": OPT,
    "bert": BERT,
    "t5": T5,
}


def family_of(config: Mapping[str, Any]) -> Family:
    """The family of a model.

    Args:
        config: content of its ``config.json``.

    Raises:
        UserError: nothing is known of its architecture.
    """
    kind = config.get("model_type")
    if kind not in FAMILIES:
        raise UserError(
            f"models of the architecture `{kind}` cannot be compressed, only {', '.join(FAMILIES)}: leave `compress` "
            "out, or take a student of one of these"
        )
    return FAMILIES[kind]


def left_of(count: int, prune: Prune) -> int:
    """Layers of a stack, or channels, of ``count`` that pruning leaves; 0 or ``count`` where it cannot be done."""
    return count - round(count * prune.amount)


def check(config: Mapping[str, Any], prune: Prune | None, quantize: Quantize | None) -> None:
    """Refuse what a model cannot have.

    Args:
        config: content of its ``config.json``.
        prune: what is to be pruned first, if anything.
        quantize: how it is to be quantised then, if at all.

    Raises:
        UserError: in one sentence: an architecture that nothing here knows, an amount that leaves no layer or channel
            or removes none, a scheme that the model cannot have, a group that does not divide a width (of the pruned
            model), weights that are quantised already.
    """
    family = family_of(config)
    if config.get("quantization_config"):
        raise UserError("this model is quantised already: compress the model that it was made of")
    if quantize and quantize.scheme == DYNAMIC and family.flattens:
        raise UserError(
            f"quantize.scheme: models of the architecture `{config['model_type']}` cannot have `{DYNAMIC}`, since some "
            "of their layers do not see where a token begins: take `int8`"
        )
    if prune:
        config = _pruned(config, family, prune)
    if quantize and quantize.group_size:
        _check_group(family.inputs(config), quantize.group_size, prune)


def _check_group(widths: list[int], group: int, prune: Prune | None) -> None:
    """Refuse a group that does not divide every width, with one that does."""
    odd = next((width for width in widths if width % group), None)
    if odd is None:
        return
    largest = gcd(*widths)
    way = f"take a number that divides {largest}"
    if largest < SMALLEST_GROUP:
        cut = prune and prune.kind == "width"
        way = "prune another share, which leaves a multiple of it, or take `int8`" if cut else "take `int8`"
    raise UserError(
        f"quantize.group: {group} weights do not divide the {odd} inputs of a layer"
        f"{' of the pruned model' if prune else ''}: {way}"
    )


def _check_amount(count: int, parts: str, prune: Prune) -> None:
    """Refuse an amount that leaves nothing, or everything, of ``count`` parts."""
    left = left_of(count, prune)
    if not 0 < left < count:
        raise UserError(
            f"prune.amount: {prune.amount:g} of {count} {parts} are {count - left}: at least one has to go, and one "
            "has to stay"
        )


def _pruned(config: Mapping[str, Any], family: Family, prune: Prune) -> Mapping[str, Any]:
    """The config of the pruned model, as far as it tells widths."""
    if prune.kind == "depth":
        for stack in family.stacks:
            _check_amount(config.get(stack.layers, config[family.stacks[0].layers]), "layers", prune)
    elif prune.kind == "width":
        count = config[family.channels]
        _check_amount(count, "channels", prune)
        return {**config, family.channels: left_of(count, prune)}
    elif prune.kind == "2:4":
        odd = next((width for width in family.inputs(config) if width % 4), None)
        if odd:
            raise UserError(f"prune.kind: `2:4` needs layers with a multiple of 4 inputs, and one here has {odd}")
    return config
