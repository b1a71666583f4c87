"""CLIP's image tower run block by block, with its original attention (not the value path of dense features)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.backbones.blocks import recomputed
from ahs_seg.modules.full_precision import widened

BlockCallback = Callable[[int, Tensor], Tensor]
"""Function of a block number (from 1) and the output tokens of that block [b n c]; returns the next block's input."""


if TYPE_CHECKING:

    class HasImageTower(Protocol):
        """A CLIP of `transformers`, or its image tower alone (`ImageTower`)."""

        vision_model: Any
        visual_projection: Any

else:
    HasImageTower = nn.Module  # since Python 3.12, a protocol that is checked at run time does not see submodules


class ImageTower(nn.Module):
    """The image tower of a CLIP as a separate network, with the attribute names of `transformers`."""

    def __init__(self, vision_model: nn.Module, visual_projection: nn.Module) -> None:
        super().__init__()
        self.vision_model = vision_model
        self.visual_projection = visual_projection

    @classmethod
    def copied(cls, tower: HasImageTower) -> ImageTower:
        """A deep copy of the image tower of a CLIP."""
        return cls(copy.deepcopy(tower.vision_model), copy.deepcopy(tower.visual_projection))


def embed_patches(
    tower: HasImageTower, pixels: Float[Tensor, "b 3 H W"]
) -> tuple[Float[Tensor, "b n c"], tuple[int, int]]:
    """Input tokens of the first block (class token first) for normalised images, and the size of the patch grid."""
    embeddings = tower.vision_model.embeddings
    patches = embeddings.patch_embedding(pixels)
    grid = (patches.shape[-2], patches.shape[-1])
    start = embeddings.class_embedding.expand(pixels.shape[0], 1, -1)
    tokens = torch.cat([start, patches.flatten(2).transpose(1, 2)], 1)
    positions = resample_positions(embeddings.position_embedding.weight, grid)
    return tower.vision_model.pre_layrnorm(tokens + positions), grid


def resample_positions(
    table: Float[Tensor, "n c"], grid: tuple[int, int], *, class_rows: int = 1, antialias: bool = False
) -> Float[Tensor, "m c"]:
    """Position embeddings resized to `grid`: bicubic, corners not aligned, as in CAT-Seg.

    The first `class_rows` belong to no patch and are kept. With `antialias` the resizing is bilinear with
    antialiasing, as SigLIP 2 was trained for any grid (NaFlex).
    """
    side = round((len(table) - class_rows) ** 0.5)
    if grid == (side, side):
        return table
    square = table[class_rows:].T.reshape(1, -1, side, side)
    mode = "bilinear" if antialias else "bicubic"
    resized = F.interpolate(square, size=grid, mode=mode, align_corners=False, antialias=antialias)
    return torch.cat([table[:class_rows], resized[0].flatten(1).T])


def run_blocks(
    tower: HasImageTower, tokens: Float[Tensor, "b n c"], after: BlockCallback, *, checkpointing: bool = False
) -> Float[Tensor, "b n c"]:
    """Output tokens of the last block; `after` is called after every block and may replace its tokens.

    With `checkpointing` the activations inside of the blocks are recomputed in the backward pass.
    """
    for number, block in enumerate(tower.vision_model.encoder.layers, 1):
        tokens = after(number, recomputed(block, tokens, None, active=checkpointing))
    return tokens


def project_tokens(tower: HasImageTower, tokens: Float[Tensor, "b n c"]) -> Float[Tensor, "b n d"]:
    """Output tokens of the last block projected to the joint space, not normalised; in float32 under autocast, too.

    The projected class token is the image embedding.
    """
    result: Tensor = tower.visual_projection(tower.vision_model.post_layernorm(tokens))
    return widened(result)
