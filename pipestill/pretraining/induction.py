"""Initialisation that sets an induction head, so that a model copies within fifty steps of training.

A default initialisation needs millions of tokens for it. Layer 0 holds previous-token heads: a rotary key bias against
a query bias that is turned back by one position, so that attention peaks at offset 1; its values go through an
orthogonal projection P into a *rotated* copy of the residual stream (rotation R). Layer 1 compares the current token
(query P) with the rotated copy (key P R^T), finds the place whose predecessor was the current token, and writes what
stands there into the stream (P^T), where the tied output embedding reads it.
"""

import math

import torch
from torch import Tensor, nn

EMBEDDING_SD = 0.06
MATRIX_SD = 0.006
WRITE = 0.06  # gain of both heads' output
SHARPNESS = 12.0  # logit that separates the attended place from the others
T5_EMBEDDING_SD = 1.0  # with small ones the tied logits are so flat that training stalls
T5_MATRIX_SD = 0.02
PREVIOUS_BIAS = 6.0
BERT_EMBEDDING_SD = 0.1
BERT_MATRIX_SD = 0.02
BERT_OCTAVE = 4  # sinusoids by octave, the fastest one of two places
POSITION_ENERGY = 0.3  # share of the positions in the embeddings
BERT_WRITE = 2.0  # gain of the heads' output
BERT_MATCH = 0.5  # more of it, and a place would see only itself, which has its own neighbours


def _orthogonal(n: int, generator: torch.Generator) -> Tensor:
    q, r = torch.linalg.qr(torch.randn(n, n, generator=generator))
    return q * r.diagonal().sign()


@torch.no_grad()
def initialise_qwen2(model: nn.Module, seed: int) -> None:
    """Set the weights of a Qwen2 model with at least two layers and tied embeddings, in place."""
    config = model.config
    width, heads, kv_heads = config.hidden_size, config.num_attention_heads, config.num_key_value_heads
    size = width // heads
    group = heads // kv_heads
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            parameter.normal_(0, EMBEDDING_SD if "embed_tokens" in name else MATRIX_SD, generator=generator)
        elif name.endswith("bias"):
            parameter.zero_()
        else:
            parameter.fill_(1.0)
    turned = _orthogonal(width, generator)
    projections = _orthogonal(width, generator)[: kv_heads * size].view(kv_heads, size, width)
    per_query_head = projections.repeat_interleave(group, dim=0)  # [heads, size, width]

    previous, match = model.model.layers[0].self_attn, model.model.layers[1].self_attn
    theta = config.rope_parameters["rope_theta"]
    frequencies = theta ** (-torch.arange(0, size, 2) / size)
    scale = math.sqrt(SHARPNESS * math.sqrt(size) / (size / 2))
    key_bias = torch.cat([torch.ones(size // 2), torch.zeros(size // 2)]) * scale
    query_bias = torch.cat([frequencies.cos(), -frequencies.sin()]) * scale
    previous.k_proj.bias.copy_(key_bias.repeat(kv_heads))
    previous.q_proj.bias.copy_(query_bias.repeat(heads))
    previous.q_proj.weight.mul_(0.1)
    previous.k_proj.weight.mul_(0.1)
    previous.v_proj.weight.copy_(projections.reshape(-1, width))
    previous.o_proj.weight.copy_((turned @ per_query_head.reshape(-1, width).T) * WRITE / group)

    match.q_proj.weight.copy_(per_query_head.reshape(-1, width) * math.sqrt(SHARPNESS))
    match.k_proj.weight.copy_(projections.reshape(-1, width) @ turned.T)
    match.v_proj.weight.copy_(projections.reshape(-1, width))
    match.o_proj.weight.copy_(per_query_head.reshape(-1, width).T * WRITE / group)


@torch.no_grad()
def initialise_t5(model: nn.Module, seed: int) -> None:
    """Set the weights of a T5 model with at least two heads, in place: the circuit lies between encoder and decoder.

    Half of the heads of the encoder's first layer write each token's predecessor into the rotated copy of the stream.
    They find it by the relative bias for offset -1. All layers of the encoder share that, so the other heads stay free
    of it: with the bias in every head, the encoder sees no further than a token per layer, copies, but learns nothing
    of what stands where. The decoder's first cross-attention compares the last token of the answer with the
    predecessors, finds the place after it, and writes what stands there into the stream.
    """
    config = model.config
    heads, size = config.num_heads, config.d_kv
    looking = heads // 2
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            parameter.normal_(0, T5_EMBEDDING_SD if "shared" in name else T5_MATRIX_SD, generator=generator)
    for stack in (model.encoder, model.decoder):
        stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight.zero_()
    turned = _orthogonal(config.d_model, generator)
    projection = _orthogonal(config.d_model, generator)
    compared = projection[: looking * size]

    previous = model.encoder.block[0].layer[0].SelfAttention
    previous.relative_attention_bias.weight[1, :looking] = PREVIOUS_BIAS  # offset -1
    previous.q.weight.mul_(0.1)
    previous.v.weight[: looking * size] = compared
    previous.o.weight[:, : looking * size] = turned @ compared.T

    match = model.decoder.block[0].layer[1].EncDecAttention
    scale = math.sqrt(SHARPNESS / math.sqrt(size))
    by_head = torch.cat([compared[(head % looking) * size :][:size] for head in range(heads)])
    match.q.weight.copy_(by_head * scale)
    match.k.weight.copy_(by_head @ turned.T * scale)
    match.v.weight.copy_(projection)
    match.o.weight.copy_(projection.T)


@torch.no_grad()
def initialise_bert(model: nn.Module, seed: int) -> None:
    """Set the weights of a BERT with a head for masked tokens, in place: at least two layers, an even number of heads.

    The positions are sinusoids in a subspace as wide as a head, which the words stay out of. Half of the first layer's
    heads attend to the token before by turning them, half to the token after, and write these into two rotated copies
    of the stream. The second layer looks for places with the same neighbours and writes what stands there into the
    stream.
    """
    config = model.config
    width, heads = config.hidden_size, config.num_attention_heads
    size = width // heads
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            parameter.normal_(0, BERT_EMBEDDING_SD if "embeddings" in name else BERT_MATRIX_SD, generator=generator)
    bert, (first, second, *_) = model.bert, [layer.attention for layer in model.bert.encoder.layer]
    bert.embeddings.token_type_embeddings.weight.zero_()
    model.cls.predictions.transform.dense.weight.copy_(torch.eye(width))

    frequencies = math.pi * 2 ** (-torch.arange(size // 2) / BERT_OCTAVE)
    angles = torch.arange(config.max_position_embeddings)[:, None] * frequencies
    subspace = _orthogonal(width, generator)[:size]  # [size, width]
    words = bert.embeddings.word_embeddings.weight
    words.sub_(words @ subspace.T @ subspace)
    norm = math.sqrt(width * POSITION_ENERGY / (1 - POSITION_ENERGY)) * BERT_EMBEDDING_SD
    waves = torch.cat([angles.cos(), angles.sin()], dim=1) * norm / math.sqrt(size / 2)
    bert.embeddings.position_embeddings.weight.copy_(waves @ subspace)

    projection = _orthogonal(width, generator)
    before, after = (_orthogonal(width, generator) for _ in range(2))
    half = width // 2
    scale = math.sqrt(SHARPNESS / math.sqrt(size) / POSITION_ENERGY)
    turned = torch.cat([_turned(frequencies, 1).repeat(heads // 2, 1), _turned(frequencies, -1).repeat(heads // 2, 1)])
    first.self.query.weight.copy_(turned @ subspace * scale)
    first.self.key.weight.copy_(subspace.repeat(heads, 1) * scale)
    first.self.value.weight.copy_(projection)
    written = torch.cat([before @ projection[:half].T, after @ projection[half:].T], dim=1)
    first.output.dense.weight.copy_(written * BERT_WRITE)

    neighbours = torch.cat([projection[:half] @ before.T, projection[half:] @ after.T])
    scale = math.sqrt(SHARPNESS / math.sqrt(size)) * BERT_MATCH
    second.self.query.weight.copy_(neighbours * scale)
    second.self.key.weight.copy_(neighbours * scale)
    second.self.value.weight.copy_(projection)
    second.output.dense.weight.copy_(projection.T * BERT_WRITE)


def _turned(frequencies: Tensor, places: int) -> Tensor:
    """The matrix ``[2 n, 2 n]`` that turns the sinusoids of a position into those of ``places`` before it."""
    cos, sin = (frequencies * places).cos().diag(), (frequencies * places).sin().diag()
    return torch.cat([torch.cat([cos, sin], dim=1), torch.cat([-sin, cos], dim=1)])
