"""Upsampling by two and the convolution after it, fused into one convolution at the low resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

# Along one axis, a transposed convolution of stride 2 followed by a 3-tap convolution: the output at 2i + phase depends
# on the low-resolution rows i - 1 + phase and i + phase. TAPS[phase][row] lists the pairs (tap of the convolution, tap
# of the transposed convolution) whose products are summed.
_TAPS = (
    (((0, 1),), ((1, 0), (2, 1))),
    (((0, 0), (1, 1)), ((2, 0),)),
)


def upsampling_kernel(
    up: Float[Tensor, "i m 2 2"], kernel: Float[Tensor, "o m 3 3"]
) -> Float[Tensor, "phases_o i 2 2"]:
    """Kernel of a 2x2 convolution (padding 1) that fuses a 2x2 upsampling and a 3x3 convolution.

    Its four groups of output channels are the four phases of the upsampled result.
    """
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
    """Maps upsampled by two and convolved, with the kernel of `upsampling_kernel`.

    Equal to a transposed convolution (without bias) followed by a 3x3 convolution.
    """
    height, width = maps.shape[-2:]
    phases = F.conv2d(maps, kernel, padding=1).unflatten(1, (4, -1))
    rows = [torch.stack([phases[:, 2 * y + x, :, y : y + height, x : x + width] for x in (0, 1)], -1) for y in (0, 1)]
    return torch.stack(rows, -3).flatten(-2).flatten(-3, -2)


class GuidedUpsample(nn.Module):
    """Upsampling by two, concatenation with guidance, and two 3x3 convolutions with group norm and ReLU.

    The upsampled map itself is never stored: the transposed convolution and the first convolution are fused
    (`upsampling_kernel`), and the guidance term of that convolution is computed once per image.

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
        """The terms of the first convolution from the guidance and the upsampling bias; equal for all classes."""
        assert self.up.bias is not None
        constant = self.up.bias.view(1, -1, 1, 1).expand(len(guidance), -1, *guidance.shape[-2:])
        return F.conv2d(torch.cat([constant, guidance], 1), self.conv1.weight, padding=1)

    def kernel(self) -> Float[Tensor, "phases_o i 2 2"]:
        """The fused kernel; compute it once per forward pass, not once per chunk of classes."""
        return upsampling_kernel(self.up.weight, self.conv1.weight[:, : self.up.out_channels])

    def forward(
        self, maps: Float[Tensor, "b t c h w"], guided: Float[Tensor, "b o H W"], kernel: Tensor
    ) -> Float[Tensor, "b t o H W"]:
        """Maps of some classes at twice the resolution; `guided` is from `guide`, `kernel` from `kernel()`."""
        hidden = upsample_convolve(maps.flatten(0, 1), kernel).unflatten(0, maps.shape[:2])
        hidden = F.relu_(self.norm1((hidden + guided.unsqueeze(1)).flatten(0, 1)))
        return F.relu_(self.norm2(self.conv2(hidden))).unflatten(0, maps.shape[:2])
