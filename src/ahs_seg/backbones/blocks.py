"""Transformer blocks with given attention weights: pre-norm (CLIP, SigLIP) and post-norm (BERT, RoBERTa)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ahs_seg.backbones.base import AttentionParts, AttentionWeights
from ahs_seg.modules.attention import multi_head_attention

Block = Any
"""A block of a tower of `transformers`, which is untyped."""


def recomputed(function: Callable[..., Tensor], *arguments: object, active: bool) -> Tensor:
    """The result of a function; if `active`, its inner activations are computed again in the backward pass."""
    if active and torch.is_grad_enabled():
        result: Tensor = checkpoint(function, *arguments, use_reentrant=False)
        return result
    return function(*arguments)


def pre_norm_attention(block: Block) -> AttentionParts:
    """The attention layers of a pre-norm block."""
    own = block.self_attn
    return AttentionParts(own.q_proj, own.k_proj, own.v_proj, own.out_proj)


def post_norm_attention(block: Block) -> AttentionParts:
    """The attention layers of a post-norm block."""
    own = block.attention.self
    return AttentionParts(own.query, own.key, own.value, block.attention.output.dense)


def project(layer: nn.Linear, weight: Tensor, tokens: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:
    """The output of a linear layer with this weight in place of its own; with its own, the layer itself is called."""
    result: Tensor = layer(tokens) if weight is layer.weight else F.linear(tokens, weight, layer.bias)
    return result


def pre_norm_block(
    block: Block,
    weights: AttentionWeights,
    tokens: Float[Tensor, "b n c"],
    heads: int,
    mask: Float[Tensor, "*#b n m"] | None = None,
    context: tuple[Tensor, Tensor] | None = None,
) -> Float[Tensor, "b n c"]:
    """Output tokens of a pre-norm block; `context` are keys and values of further tokens that come before."""
    own = block.self_attn
    normed = block.layer_norm1(tokens)
    query = project(own.q_proj, weights.query, normed)
    key = project(own.k_proj, weights.key, normed)
    value = project(own.v_proj, weights.value, normed)
    if context is not None:
        key, value = (_prepend(first, rest) for first, rest in zip(context, (key, value), strict=True))
    mixed = multi_head_attention(query, key, value, heads, mask)
    tokens = tokens + project(own.out_proj, weights.output, mixed)
    result: Tensor = tokens + block.mlp(block.layer_norm2(tokens))
    return result


def key_value(block: Block, weights: AttentionWeights, tokens: Float[Tensor, "b n c"]) -> tuple[Tensor, Tensor]:
    """Keys and values of a pre-norm block, each [b n c]."""
    normed = block.layer_norm1(tokens)
    return (
        F.linear(normed, weights.key, block.self_attn.k_proj.bias),
        F.linear(normed, weights.value, block.self_attn.v_proj.bias),
    )


def post_norm_block(
    block: Block,
    weights: AttentionWeights,
    tokens: Float[Tensor, "b n c"],
    heads: int,
    mask: Float[Tensor, "b n n"] | None = None,
) -> Float[Tensor, "b n c"]:
    """Output tokens of a post-norm block, without the dropout that BERT trains with."""
    parts = post_norm_attention(block)
    query = F.linear(tokens, weights.query, parts.query.bias)
    key = F.linear(tokens, weights.key, parts.key.bias)
    value = F.linear(tokens, weights.value, parts.value.bias)
    mixed = F.linear(multi_head_attention(query, key, value, heads, mask), weights.output, parts.output.bias)
    tokens = block.attention.output.LayerNorm(mixed + tokens)
    result: Tensor = block.output.LayerNorm(block.output.dense(block.intermediate(tokens)) + tokens)
    return result


def _prepend(first: Float[Tensor, "1 p d"], rest: Float[Tensor, "n l d"]) -> Float[Tensor, "n q d"]:
    return torch.cat([first.expand(len(rest), -1, -1), rest], 1)
