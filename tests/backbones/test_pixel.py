"""Pixel backbones give maps at four strides, for images of any padded size, and read weights in the usual layout."""

import pytest
import torch

from ahs_seg.backbones.conv_pyramid import ConvPyramidConfig
from ahs_seg.backbones.sam import SamConfig
from tests.support.small_methods import SAM_SMALL


@pytest.mark.parametrize("config", [SAM_SMALL, ConvPyramidConfig(channels=(4, 8, 8, 12))], ids=lambda one: one.name)
@pytest.mark.parametrize("size", [(64, 64), (32, 96), (96, 160)])
@torch.no_grad()
def test_strides_and_widths(config: SamConfig | ConvPyramidConfig, size: tuple[int, int]) -> None:
    pixels = config.build_empty().eval()
    maps = pixels(pixels.normalise(torch.rand(2, 3, *size)))
    assert [tuple(level.shape[1:]) for level in maps] == [
        (width, size[0] // stride, size[1] // stride)
        for width, stride in zip(pixels.channels, (4, 8, 16, 32), strict=True)
    ]
    assert pixels.stride == 32
