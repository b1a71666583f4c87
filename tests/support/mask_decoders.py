"""The two decoders of the mask family in small, and maps of four strides for them."""

import torch
from torch import Tensor

from ahs_seg.methods.mask.pixel_decoder import PixelDecoder
from ahs_seg.methods.mask.query_decoder import MaskedDecoder

CHANNELS = (8, 12, 16, 20)


def pixel_decoder() -> PixelDecoder:
    """A pixel decoder of two layers, 32 wide."""
    torch.manual_seed(0)
    return PixelDecoder(CHANNELS, dim=32, mask_dim=24, heads=4, layers=2, feedforward=48).eval()


def query_decoder() -> MaskedDecoder:
    """A decoder of five queries and three layers, 32 wide."""
    torch.manual_seed(0)
    return MaskedDecoder(32, mask_dim=24, queries=5, heads=4, layers=3, feedforward=40).eval()


def pixel_maps(batch: int = 2) -> list[Tensor]:
    """Maps of strides 4 to 32 of images of 96x160 pixels."""
    generator = torch.Generator().manual_seed(1)
    sizes = [(24, 40), (12, 20), (6, 10), (3, 5)]
    return [torch.randn(batch, c, *size, generator=generator) for c, size in zip(CHANNELS, sizes, strict=True)]
