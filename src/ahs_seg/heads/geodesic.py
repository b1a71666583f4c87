"""Distances along the unit sphere, and the similarity made of them (GCS)."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.config import Config

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


class Geodesic(Config):
    """Similarity along the sphere instead of the cosine (AHS-Seg's simple design, GCS)."""

    def build(self) -> GeodesicSimilarity:
        """The similarity; it starts with curvature 1."""
        return GeodesicSimilarity()


class GeodesicSimilarity(nn.Module):
    """1 - k d / pi of the angle d, where the curvature k > 0 is learned: a falling map of the angle, one parameter.

    The published code projects words and patches with separate learned layers first, which destroys what CLIP aligned,
    and normalises the image along its width; here the vectors stay CLIP's. Most similar classes stay most similar.
    """

    SETTINGS: ClassVar[frozenset[str]] = frozenset({"raw_curvature"})

    def __init__(self) -> None:
        super().__init__()
        self.raw_curvature = nn.Parameter(torch.tensor(math.log(math.e - 1)))

    @property
    def curvature(self) -> Float[Tensor, ""]:
        """The curvature, above zero."""
        return F.softplus(self.raw_curvature)

    def forward(self, cosine: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """The similarity of pairs with these cosines; 1 for the same direction, 1 - k for opposite ones."""
        return 1 - self.curvature * angle_of_cosine(cosine) / math.pi
