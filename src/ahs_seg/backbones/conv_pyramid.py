"""A small convolutional pixel backbone that is trained from scratch."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from ahs_seg.config import MAX_LAYERS, Config, Width


class ConvPyramid(nn.Module):
    """Feature pyramid of four convolutional stages, each at half the resolution of the one before; no pre-training.

    A stage is a strided 3x3 convolution and `blocks` residual pairs of 3x3 convolutions, with group norm; the first
    stage halves the resolution twice.
    """

    def __init__(self, channels: tuple[int, int, int, int], *, blocks: int = 1) -> None:
        super().__init__()
        self.channels = channels
        self.stride = 32
        self.stem = _down(3, channels[0])
        widths = zip((channels[0], *channels[:-1]), channels, strict=True)
        self.stages = nn.ModuleList(
            nn.Sequential(_down(before, width), *(_Residual(width) for _ in range(blocks))) for before, width in widths
        )

    def normalise(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3 H W"]:
        """Images (RGB in [0, 1]) scaled to [-1, 1]."""
        return 2 * images - 1

    def forward(self, pixels: Float[Tensor, "b 3 H W"]) -> tuple[Tensor, ...]:
        """Feature maps [b c H/s W/s] of normalised images at strides s = 4, 8, 16 and 32."""
        maps, tokens = [], self.stem(pixels)
        for stage in self.stages:
            tokens = stage(tokens)
            maps.append(tokens)
        return tuple(maps)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _norm_and_convolve(width), _norm_and_convolve(width)

    def forward(self, maps: Tensor) -> Tensor:
        changed: Tensor = maps + self.second(self.first(maps))
        return changed


def _norm_and_convolve(width: int) -> nn.Sequential:
    return nn.Sequential(nn.GroupNorm(_groups(width), width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))


def _down(before: int, width: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, width, 3, stride=2, padding=1)
    return nn.Sequential(convolution, nn.GroupNorm(_groups(width), width), nn.ReLU())


def _groups(width: int) -> int:
    return next(groups for groups in (8, 4, 2, 1) if width % groups == 0)


class ConvPyramidConfig(Config):
    """Sizes of a `ConvPyramid`."""

    name: Literal["conv_pyramid"] = "conv_pyramid"
    channels: tuple[Width, Width, Width, Width] = (32, 64, 96, 128)
    blocks: Annotated[int, Field(ge=0, le=MAX_LAYERS)] = 1

    def build(self) -> ConvPyramid:
        """The network with random weights (there are no pre-trained ones)."""
        return self.build_empty()

    def build_empty(self) -> ConvPyramid:
        """The network with random weights."""
        with torch.no_grad():
            return ConvPyramid(self.channels, blocks=self.blocks)
