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


def _orthogonal(n: int, generator: torch.Generator) -> Tensor:
    q, r = torch.linalg.qr(torch.randn(n, n, generator=generator))
    return q * r.diagonal().sign()


@torch.no_grad()
def initialise_copy_circuit(model: nn.Module, seed: int) -> None:
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
