"""A learnt filter of feature maps in the frequency domain."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class FrequencyFilter(nn.Module):
    """Feature maps plus what a small network makes of their damped spectrum; always in float32.

    Source: SCAN (Liu et al., CVPR 2024), semantic integration. The gain is one minus a Gaussian around index side // 2
    of a spectrum that is not shifted. Index side // 2 is the highest frequency there, so this is a low-pass.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2 * width, 2 * width, 1)
        self.conv2 = nn.Conv2d(2 * width, 2 * width, 1)

    def forward(self, maps: Float[Tensor, "b c h w"], *, sigma: float) -> Float[Tensor, "b c h w"]:
        """The filtered maps; the network is the same whatever the width `sigma` of the gap, in bins."""
        with torch.autocast(maps.device.type, enabled=False):
            maps = maps.float()
            spectrum = torch.fft.fft2(maps) * (1 - gap(maps.shape[-2], maps.shape[-1], sigma, maps.device))
            parts = torch.cat([spectrum.real, spectrum.imag], 1)
            real, imaginary = self.conv2(self.conv1(parts).relu()).chunk(2, 1)
            return maps + torch.fft.ifft2(torch.complex(real, imaginary)).real


def gap(height: int, width: int, sigma: float, device: torch.device | None = None) -> Float[Tensor, "h w"]:
    """A Gaussian of height 1 around (height // 2, width // 2)."""
    rows = torch.arange(height, device=device) - height // 2
    columns = torch.arange(width, device=device) - width // 2
    return torch.exp(-(rows[:, None] ** 2 + columns**2) / (2 * sigma**2))
