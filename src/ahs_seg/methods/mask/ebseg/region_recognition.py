"""Region embeddings from a frozen CLIP, whose last blocks attend to the region by an attention bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ahs_seg.backbones.base import AttentionWeights, DenseForm
from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.image_tower import embed_patches, project_tokens
from ahs_seg.config import ConfigError
from ahs_seg.modules.attention import multi_head_attention

_Block = Any  # a CLIPEncoderLayer; transformers is untyped


@dataclass(frozen=True, slots=True)
class PatchMemory:
    """Attention keys and values of the patches in one of the last blocks."""

    keys: Float[Tensor, "b n c"]
    values: Float[Tensor, "b n c"]


@dataclass(frozen=True, slots=True)
class FrontFeatures:
    """Result of one CLIP forward pass over the image, from which any number of regions can be embedded.

    `taps` are the patch maps after the requested blocks, `start` is the class token before the last blocks, and
    `memory` holds the keys and values of the patches in each of these. `values` are the tokens [class, patches] after
    the value path, or of the last block in a dense form. `grid` is the size of the patch grid.
    """

    taps: tuple[Float[Tensor, "b c h w"], ...]
    start: Float[Tensor, "b 1 c"]
    memory: tuple[PatchMemory, ...]
    values: Float[Tensor, "b m c"]
    grid: tuple[int, int]


class RegionRecognition:
    """EBSeg's forward pass of a frozen CLIP (Shan et al., CVPR 2024); it has no parameters of its own.

    `head` is the number of last blocks that compute region embeddings, `taps` are the numbers (from 1) of the blocks
    whose maps are returned, `value_start` is the number of the block after which the value path branches off. With
    `dense` the last block in that dense form takes the place of the value path.
    """

    def __init__(
        self,
        backbone: ClipBackbone,
        *,
        head: int,
        taps: Sequence[int],
        value_start: int,
        dense: DenseForm | None = None,
    ) -> None:
        front = backbone.depth - head
        if not 0 < head < backbone.depth or not all(0 < tap <= front for tap in taps) or not 0 < value_start <= front:
            raise ConfigError(
                f"head={head}, taps={tuple(taps)}, value_start={value_start} do not fit a CLIP of {backbone.depth} "
                f"blocks: taps and value_start count blocks from 1 and lie before the last {head}"
            )
        self.backbone = backbone
        self.front, self.taps, self.value_start = front, tuple(taps), value_start
        self.heads, self.form = backbone.heads, dense

    def embed(self, pixels: Float[Tensor, "b 3 H W"]) -> tuple[Float[Tensor, "b m c"], tuple[int, int]]:
        """Tokens [class, patches] of normalised images, and the patch grid; incomplete patches are cropped."""
        patch = self.backbone.patch_size
        height, width = (side // patch * patch for side in pixels.shape[-2:])
        return embed_patches(self.backbone.image_tower, pixels[..., :height, :width])

    def __call__(self, pixels: Float[Tensor, "b 3 H W"]) -> FrontFeatures:
        """Features of normalised images from one forward pass; the value path has no gradient."""
        tokens, grid = self.embed(pixels)
        weights = self.backbone.attention_weights("vision")
        blocks = self.backbone.blocks("vision")
        values, start = tokens.detach(), tokens[:, :1]
        maps: dict[int, Tensor] = {}
        memory: list[PatchMemory] = []
        for number, (block, own) in enumerate(zip(blocks, weights, strict=True), start=1):
            if number > self.value_start and self.form is None:
                with torch.no_grad():
                    values = values + self._value_update(block, own, tokens)
            if number > self.front:
                memory.append(self._memory(block, own, tokens[:, 1:]))
            if number < len(blocks):
                tokens = self._ordinary(block, own, tokens)
            if number == self.value_start and self.form is None:
                values = tokens.detach()
            if number == len(blocks) and self.form is not None:
                with torch.no_grad():
                    values = self.backbone.read_last(tokens, grid, self.form)
            if number == self.front:
                start = tokens[:, :1]
            if number in self.taps:
                maps[number] = tokens[:, 1:].transpose(1, 2).unflatten(-1, grid)
        return FrontFeatures(tuple(maps[tap] for tap in self.taps), start, tuple(memory), values, grid)

    def dense(self, front: FrontFeatures) -> Float[Tensor, "b d h w"]:
        """Patch features (`FrontFeatures.values`) in the joint space, as unit vectors."""
        with torch.no_grad():
            joint = F.normalize(project_tokens(self.backbone.image_tower, front.values[:, 1:]), dim=-1)
        return joint.transpose(1, 2).unflatten(-1, front.grid)

    def recognise(self, front: FrontFeatures, bias: Float[Tensor, "b heads q n"]) -> Float[Tensor, "b q d"]:
        """Embeddings (joint space, unit vectors) of regions, each given as an attention bias to patches per head.

        Every region is a copy of the class token that attends to the patches and to itself; no other token attends to
        it. The original uses an attention mask of -100 over all tokens; here the stored keys and values of the patches
        are reused.
        """
        blocks = self.backbone.blocks("vision")[self.front :]
        weights = self.backbone.attention_weights("vision")[self.front :]
        states = front.start.expand(-1, bias.shape[2], -1)
        for block, own, memory in zip(blocks, weights, front.memory, strict=True):
            states = self._copies(block, own, states, memory, bias)
        return F.normalize(project_tokens(self.backbone.image_tower, states), dim=-1)

    def _ordinary(self, block: _Block, weights: AttentionWeights, tokens: Tensor) -> Tensor:
        if self.backbone.checkpointing and torch.is_grad_enabled():
            return checkpoint(self._plain, block, weights, tokens, use_reentrant=False)
        return self._plain(block, weights, tokens)

    def _plain(self, block: _Block, weights: AttentionWeights, tokens: Tensor) -> Tensor:
        normed, part = block.layer_norm1(tokens), block.self_attn
        query = F.linear(normed, weights.query, part.q_proj.bias)
        key = F.linear(normed, weights.key, part.k_proj.bias)
        value = F.linear(normed, weights.value, part.v_proj.bias)
        mixed = multi_head_attention(query, key, value, self.heads)
        return self._finish(block, weights, tokens, mixed)

    def _value_update(self, block: _Block, weights: AttentionWeights, tokens: Tensor) -> Tensor:
        """Residual update of value-value attention ("CLIP surgery", Li et al., 2023)."""
        value = F.linear(block.layer_norm1(tokens), weights.value, block.self_attn.v_proj.bias)
        mixed = multi_head_attention(value, value, value, self.heads)
        return F.linear(mixed, weights.output, block.self_attn.out_proj.bias)

    def _memory(self, block: _Block, weights: AttentionWeights, patches: Tensor) -> PatchMemory:
        normed, part = block.layer_norm1(patches), block.self_attn
        return PatchMemory(
            F.linear(normed, weights.key, part.k_proj.bias), F.linear(normed, weights.value, part.v_proj.bias)
        )

    def _copies(
        self, block: _Block, weights: AttentionWeights, states: Tensor, memory: PatchMemory, bias: Tensor
    ) -> Tensor:
        normed, part = block.layer_norm1(states), block.self_attn
        query, key, value = (
            F.linear(normed, weight, projection.bias).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for weight, projection in zip(weights[:3], (part.q_proj, part.k_proj, part.v_proj), strict=True)
        )
        keys, values = (
            stored.unflatten(-1, (self.heads, -1)).transpose(1, 2) for stored in (memory.keys, memory.values)
        )
        query = query * query.shape[-1] ** -0.5
        seen = query @ keys.transpose(-1, -2) + bias
        weight = torch.cat([seen, (query * key).sum(-1, keepdim=True)], -1).softmax(-1)
        mixed = weight[..., :-1] @ values + weight[..., -1:] * value
        return self._finish(block, weights, states, mixed.transpose(1, 2).flatten(2))

    def _finish(self, block: _Block, weights: AttentionWeights, tokens: Tensor, mixed: Tensor) -> Tensor:
        tokens = tokens + F.linear(mixed, weights.output, block.self_attn.out_proj.bias)
        finished: Tensor = tokens + block.mlp(block.layer_norm2(tokens))
        return finished
