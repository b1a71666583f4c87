"""What the decoders of the mask family return, apart from the decoders, which import much of `transformers`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PixelFeatures:
    """Output of the pixel decoder: mask features at stride 4, and feature maps at strides 32, 16 and 8."""

    masks: Float[Tensor, "b c h w"]
    levels: tuple[Float[Tensor, "b d h2 w2"], Float[Tensor, "b d h3 w3"], Float[Tensor, "b d h4 w4"]]


@dataclass(frozen=True, slots=True)
class QueryPrediction:
    """Prediction after one decoder layer: the normalised state of every query, and its mask logits at stride 4."""

    states: Float[Tensor, "b q d"]
    masks: Float[Tensor, "b q h w"]


@dataclass(frozen=True, slots=True)
class ImageArea:
    """The top left part of padded images that is the image: `size` of `padded_size`, (height, width) in pixels."""

    size: tuple[int, int]
    padded_size: tuple[int, int]

    def padding(self, grid: tuple[int, int], device: torch.device) -> Bool[Tensor, "h w"]:
        """True for the cells of a map of the padded images that show no pixel of the image."""
        sides = zip(grid, self.size, self.padded_size, strict=True)
        rows, columns = (torch.arange(cells, device=device) * whole >= own * cells for cells, own, whole in sides)
        return rows[:, None] | columns


Decoders: TypeAlias = tuple[Any, Any]
"""A `PixelDecoder` and a `MaskedDecoder`; both derive from classes of `transformers`, which is untyped."""
