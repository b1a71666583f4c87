"""Pixel backbones: networks that return feature maps of normalised images at strides 4, 8, 16 and 32.

Each has `channels` (channels of its maps, finest map first), `stride` (of the coarsest map) and `normalise(images)`.
Its config has `build()` for the pre-trained network and `build_empty()` for one without pre-trained weights.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ahs_seg.backbones.conv_pyramid import ConvPyramid, ConvPyramidConfig
from ahs_seg.backbones.sam import SamConfig, SamPyramid
from ahs_seg.backbones.swin import SwinConfig, SwinPyramid

PixelBackbone = SamPyramid | SwinPyramid | ConvPyramid
PixelConfig = Annotated[SamConfig | SwinConfig | ConvPyramidConfig, Field(discriminator="name")]
