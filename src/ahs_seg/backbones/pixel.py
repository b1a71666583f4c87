"""Pixel backbones: networks that give maps at strides 4, 8, 16 and 32 of normalised images.

Each has `channels` (widths of its maps, finest first), `stride` (of the coarsest) and `normalise(images)`; its config
has `build()` and, without weights, `build_empty()`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ahs_seg.backbones.conv_pyramid import ConvPyramid, ConvPyramidConfig
from ahs_seg.backbones.sam import SamConfig, SamPyramid
from ahs_seg.backbones.swin import SwinConfig, SwinPyramid

PixelBackbone = SamPyramid | SwinPyramid | ConvPyramid
PixelConfig = Annotated[SamConfig | SwinConfig | ConvPyramidConfig, Field(discriminator="name")]
