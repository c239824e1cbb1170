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
TWIN_SHARPNESS = 14.0  # logit of a place with the same token
TWIN_SELF = 0.6  # share of it that a place does not give to itself
TWIN_NONE = 0.65  # share of it that the first place has for all
TWIN_WRITE = 12.0  # gain of what says that there is no twin


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
    """Set the weights of a BERT with a head for masked tokens, in place: at least two layers and two heads.

    The positions are sinusoids in a subspace as wide as a head, which the words stay out of. A quarter of the first
    layer's heads attend to the token before by turning them, a quarter to the token after, and write these into two
    rotated copies of the stream. The second layer looks for places with the same neighbours and writes what stands
    there into the stream. All other heads of the first layer say of each token whether it stands elsewhere too
    (:func:`_set_twins`), from which two texts are compared.
    """
    config = model.config
    width, heads = config.hidden_size, config.num_attention_heads
    size = width // heads
    looking = max(1, heads // 4)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            parameter.normal_(0, BERT_EMBEDDING_SD if "embeddings" in name else BERT_MATRIX_SD, generator=generator)
    bert, (first, second, *_) = model.bert, [layer.attention for layer in model.bert.encoder.layer]
    bert.embeddings.token_type_embeddings.weight.zero_()
    model.cls.predictions.transform.dense.weight.copy_(torch.eye(width))

    frequencies = math.pi * 2 ** (-torch.arange(size // 2) / BERT_OCTAVE)
    angles = torch.arange(config.max_position_embeddings)[:, None] * frequencies
    basis = _orthogonal(width, generator)
    subspace, marks, free = basis[:size], basis[size : size + 2], basis[size + 2 :]  # of positions, two signs, words
    words, positions = bert.embeddings.word_embeddings.weight, bert.embeddings.position_embeddings.weight
    words.copy_(words @ free.T @ free)
    norm = math.sqrt(width * POSITION_ENERGY / (1 - POSITION_ENERGY)) * BERT_EMBEDDING_SD
    waves = torch.cat([angles.cos(), angles.sin()], dim=1) * norm / math.sqrt(size / 2)
    positions.copy_(waves @ subspace)
    positions[0] += marks[0] * norm

    projection = _orthogonal(width, generator)
    before, after = (_orthogonal(width, generator) for _ in range(2))
    shown = looking * size
    scale = math.sqrt(SHARPNESS / math.sqrt(size) / POSITION_ENERGY)
    turned = torch.cat([_turned(frequencies, 1).repeat(looking, 1), _turned(frequencies, -1).repeat(looking, 1)])
    first.self.query.weight[: 2 * shown] = turned @ subspace * scale
    first.self.key.weight[: 2 * shown] = subspace.repeat(2 * looking, 1) * scale
    first.self.value.weight[: 2 * shown] = projection[: 2 * shown]
    written = torch.cat([before @ projection[:shown].T, after @ projection[shown : 2 * shown].T], dim=1)
    first.output.dense.weight[:, : 2 * shown] = written * BERT_WRITE
    for head in range(2 * looking, heads):
        _set_twins(first, slice(head * size, (head + 1) * size), words, positions, (subspace, marks, free), generator)

    neighbours = torch.zeros(width, width)
    neighbours[: 2 * shown] = torch.cat([projection[:shown] @ before.T, projection[shown : 2 * shown] @ after.T])
    scale = math.sqrt(SHARPNESS / math.sqrt(size)) * BERT_MATCH
    second.self.query.weight.copy_(neighbours * scale)
    second.self.key.weight.copy_(neighbours * scale)
    second.self.value.weight.copy_(projection)
    second.output.dense.weight.copy_(projection.T * BERT_WRITE)


def _set_twins(
    attention: nn.Module,
    rows: slice,
    words: Tensor,
    positions: Tensor,
    spaces: tuple[Tensor, Tensor, Tensor],
    generator: torch.Generator,
) -> None:
    """Set the head ``rows`` of the first layer: a token attends to the same one at another place, or, where there is
    none, to the first place, and then a sign is written into the stream.

    Of the head's dimensions a quarter holds positions, by which a token is kept from itself, and one the sign of the
    first place; the others hold words.
    """
    size = rows.stop - rows.start
    places, (first_place, alone), free = spaces
    of_places = size // 4
    of_words = size - of_places - 1
    look = torch.randn(of_words, len(free), generator=generator)
    look = torch.linalg.qr(look.T)[0].T @ free
    apart = torch.linalg.qr(torch.randn(len(places), of_places, generator=generator))[0].T @ places
    width = words.shape[1]
    token = nn.functional.layer_norm(words + positions[1], (width,))
    word_energy = (token @ look.T).square().sum(1).mean()
    seen = nn.functional.layer_norm(words[:40] + positions[1:41], (width,))
    place_energy = (seen @ apart.T).square().sum(1).mean()
    sign = (nn.functional.layer_norm(words + positions[0], (width,)) @ first_place).mean()
    logit = TWIN_SHARPNESS * math.sqrt(size)
    query, key = torch.zeros(size, width), torch.zeros(size, width)
    query[:of_words] = key[:of_words] = look * (logit / word_energy).sqrt()
    key[of_words:-1] = apart * (logit * TWIN_SELF / place_energy).sqrt()
    query[of_words:-1] = -key[of_words:-1]
    key[-1] = first_place * logit * TWIN_NONE / sign
    attention.self.query.weight[rows], attention.self.key.weight[rows] = query, key
    attention.self.query.bias[rows.stop - 1] = 1.0
    attention.self.value.weight[rows.stop - 1] = first_place / sign
    attention.output.dense.weight[:, rows.stop - 1] = alone * TWIN_WRITE


def _turned(frequencies: Tensor, places: int) -> Tensor:
    """The matrix ``[2 n, 2 n]`` that turns the sinusoids of a position into those of ``places`` before it."""
    cos, sin = (frequencies * places).cos().diag(), (frequencies * places).sin().diag()
    return torch.cat([torch.cat([cos, sin], dim=1), torch.cat([-sin, cos], dim=1)])
