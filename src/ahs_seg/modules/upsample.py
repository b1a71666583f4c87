"""Upsampling by two followed by a convolution, in one step at the low resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

# One axis of "transposed convolution of stride 2, then a 3-tap convolution": the result at 2i + phase is made of the
# low-resolution rows i - 1 + phase and i + phase. TAPS[phase][row] lists the pairs (tap of the convolution, tap of
# the transposed convolution) that meet there.
_TAPS = (
    (((0, 1),), ((1, 0), (2, 1))),
    (((0, 0), (1, 1)), ((2, 0),)),
)


def upsampling_kernel(
    up: Float[Tensor, "i m 2 2"], kernel: Float[Tensor, "o m 3 3"]
) -> Float[Tensor, "phases_o i 2 2"]:
    """Kernel of one 2x2 convolution (padding 1) whose four groups of outputs are the four phases of the result."""
    fused = []
    for vertical in _TAPS:
        for horizontal in _TAPS:
            for rows in vertical:
                for columns in horizontal:
                    terms = [(ky, kx, uy, ux) for ky, uy in rows for kx, ux in columns]
                    fused.append(sum_of_products(kernel, up, terms))
    inputs, outputs = up.shape[0], kernel.shape[0]
    stacked = torch.stack(fused).view(4, 2, 2, outputs, inputs)
    return stacked.permute(0, 3, 4, 1, 2).reshape(4 * outputs, inputs, 2, 2)


def sum_of_products(kernel: Tensor, up: Tensor, terms: list[tuple[int, int, int, int]]) -> Float[Tensor, "o i"]:
    """Sum of kernel[:, :, y, x] @ up[:, :, y', x']^T over the given taps."""
    left = torch.cat([kernel[:, :, ky, kx] for ky, kx, _, _ in terms], 1)
    right = torch.cat([up[:, :, uy, ux] for _, _, uy, ux in terms], 1)
    return left @ right.T


def upsample_convolve(
    maps: Float[Tensor, "n i h w"], kernel: Float[Tensor, "phases_o i 2 2"]
) -> Float[Tensor, "n o H W"]:
    """Apply `upsampling_kernel`: equals the transposed convolution (without bias) and the 3x3 convolution after it."""
    height, width = maps.shape[-2:]
    phases = F.conv2d(maps, kernel, padding=1).unflatten(1, (4, -1))
    rows = [torch.stack([phases[:, 2 * y + x, :, y : y + height, x : x + width] for x in (0, 1)], -1) for y in (0, 1)]
    return torch.stack(rows, -3).flatten(-2).flatten(-3, -2)


class GuidedUpsample(nn.Module):
    """Upsample by two, put guidance beside it, and two 3x3 convolutions with group norm and ReLU.

    The map at the doubled resolution is never made: the transposed convolution and the first convolution are one
    (`upsampling_kernel`), and the guidance's part of that convolution is computed once per image.

    Source: CAT-Seg, upsampling decoder.
    """

    def __init__(self, dim: int, out_dim: int, *, guidance_dim: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(dim, dim - guidance_dim, 2, stride=2)
        self.conv1 = nn.Conv2d(dim, out_dim, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(max(1, out_dim // 16), out_dim)
        self.conv2 = nn.Conv2d(out_dim, out_dim, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(max(1, out_dim // 16), out_dim)

    def guide(self, guidance: Float[Tensor, "b g H W"]) -> Float[Tensor, "b o H W"]:
        """What the guidance and the constant of the upsampling contribute; the same for all classes."""
        assert self.up.bias is not None
        constant = self.up.bias.view(1, -1, 1, 1).expand(len(guidance), -1, *guidance.shape[-2:])
        return F.conv2d(torch.cat([constant, guidance], 1), self.conv1.weight, padding=1)

    def kernel(self) -> Float[Tensor, "phases_o i 2 2"]:
        """The fused kernel; computed once per forward, not once per chunk."""
        return upsampling_kernel(self.up.weight, self.conv1.weight[:, : self.up.out_channels])

    def forward(
        self, maps: Float[Tensor, "b t c h w"], guided: Float[Tensor, "b o H W"], kernel: Tensor
    ) -> Float[Tensor, "b t o H W"]:
        """The maps of some classes at the doubled resolution."""
        hidden = upsample_convolve(maps.flatten(0, 1), kernel).unflatten(0, maps.shape[:2])
        hidden = F.relu(self.norm1((hidden + guided.unsqueeze(1)).flatten(0, 1)))
        return F.relu(self.norm2(self.conv2(hidden))).unflatten(0, maps.shape[:2])
