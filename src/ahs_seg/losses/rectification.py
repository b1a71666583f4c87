"""What keeps the two AFRs useful: indifference to style, and gates that stay open and smooth unless it pays."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_EPS = 1e-12


def perturbed_style(
    dense: Float[Tensor, "b d h w"], *, strength: float = 0.1, generator: torch.Generator | None = None
) -> Float[Tensor, "b d h w"]:
    """Features whose mean and spread over places were changed at random, per image and channel.

    With mean m and spread s of a channel: (f - m) exp(strength e1) + m + strength s e2. It stands in for another
    augmentation of the same image, without a second pass through the encoder.
    """
    noise = torch.randn(2, *dense.shape[:2], 1, 1, device=dense.device, dtype=dense.dtype, generator=generator)
    mean = dense.mean((2, 3), keepdim=True)
    spread = dense.var((2, 3), keepdim=True, correction=0).clamp(min=_EPS).sqrt()
    return (dense - mean) * (strength * noise[0]).exp() + mean + strength * spread * noise[1]


def consistency_loss(one: Float[Tensor, "b d h w"], other: Float[Tensor, "b d h w"]) -> Float[Tensor, ""]:
    """Mean of 1 - cosine of both at the same place; source: AHS-Seg's simple design, AFR (never called in its code)."""
    return 1 - F.cosine_similarity(one, other, dim=1).mean()


def gate_regulariser(
    channel: Float[Tensor, "b d 1 1"],
    spatial: Float[Tensor, "b 1 h w"],
    *,
    open_weight: float = 0.1,
    smooth_weight: float = 0.01,
) -> Float[Tensor, ""]:
    """open_weight * mean(1 - channel * spatial) + smooth_weight * total variation of the spatial gate.

    Source: HPS-Seg, AFR. The published code pulls every gate to one half, which the cosine undoes and which is the
    opposite of "keep by default, suppress what harms".
    """
    kept = (channel.mean(1) * spatial.mean((2, 3))).mean()  # a mean of products of all pairs is the product of means
    variation = spatial.new_zeros(())
    for axis in (2, 3):
        if spatial.shape[axis] > 1:
            variation = variation + spatial.diff(dim=axis).abs().mean()
    return open_weight * (1 - kept) + smooth_weight * variation
