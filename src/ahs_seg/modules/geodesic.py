"""Angles between directions, accurate where the arccosine is not."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_EPS = 1e-12


def geodesic_distance(one: Float[Tensor, "*#b d"], other: Float[Tensor, "*#b d"]) -> Float[Tensor, "*b"]:
    """Angle between unit vectors, in [0, pi]; accurate to 1e-6 everywhere, its gradient never longer than 1.

    Twice the angle whose tangent is |a - b| / |a + b|. The published code of AHS-Seg and HPS-Seg takes the arccosine of
    a clamped product: near zero it returns a floor of up to 5e-4 and no gradient.
    """
    apart = ((one - other).square().sum(-1) + _EPS).sqrt()
    together = ((one + other).square().sum(-1) + _EPS).sqrt()
    return 2 * torch.atan2(apart, together)


def angle_of_cosine(cosine: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Angle in [0, pi] of a cosine that may be off by rounding; its gradient is finite everywhere.

    A cosine knows angles below 1e-3 only roughly (float32); for few pairs of vectors `geodesic_distance` is exact.
    """
    floor = 4 * torch.finfo(cosine.dtype).eps
    apart = (2 - 2 * cosine).clamp(min=0) + floor
    together = (2 + 2 * cosine).clamp(min=0) + floor
    return 2 * torch.atan2(apart.sqrt(), together.sqrt())
