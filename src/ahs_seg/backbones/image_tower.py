"""The image tower of a CLIP read block by block, with its attention as trained (not the dense reading)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.backbones.clip import ClipBackbone, resample_positions

After = Callable[[int, Tensor], Tensor]
"""Number of a block (from 1) and its tokens [b n c], to the tokens that the next block gets."""


@runtime_checkable
class HasImageTower(Protocol):
    """A `CLIPModel`, or its image half."""

    vision_model: Any
    visual_projection: Any


class ImageTower(nn.Module):
    """The image half of a CLIP as a network of its own, with the names of `transformers`."""

    def __init__(self, vision_model: nn.Module, visual_projection: nn.Module) -> None:
        super().__init__()
        self.vision_model = vision_model
        self.visual_projection = visual_projection

    @classmethod
    def copied(cls, backbone: ClipBackbone) -> ImageTower:
        """A copy of the image tower of a backbone."""
        model = backbone.model
        return cls(copy.deepcopy(model.vision_model), copy.deepcopy(model.visual_projection))


def embed(tower: HasImageTower, pixels: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b n c"]:
    """Tokens that enter the first block, class token first, of images in the units of the tower."""
    parts = tower.vision_model.embeddings
    patches = parts.patch_embedding(pixels)
    start = parts.class_embedding.expand(len(pixels), 1, -1)
    positions = resample_positions(parts.position_embedding.weight, (patches.shape[-2], patches.shape[-1]))
    tokens = torch.cat([start, patches.flatten(2).transpose(1, 2)], 1) + positions
    result: Tensor = tower.vision_model.pre_layrnorm(tokens)
    return result


def run_blocks(tower: HasImageTower, tokens: Float[Tensor, "b n c"], after: After) -> Float[Tensor, "b n c"]:
    """Tokens after the last block; `after` sees, and may change, those of every block."""
    for number, block in enumerate(tower.vision_model.encoder.layers, 1):
        tokens = after(number, block(tokens, None))
    return tokens


def projected(tower: HasImageTower, tokens: Float[Tensor, "b n c"]) -> Float[Tensor, "b n d"]:
    """Tokens after the last block in the joint space, not normalised; the class token is the image's embedding."""
    result: Tensor = tower.visual_projection(tower.vision_model.post_layernorm(tokens))
    return result
