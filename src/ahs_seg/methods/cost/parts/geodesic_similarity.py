"""GCS: similarity along the sphere instead of the cosine."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import PositiveFloat
from torch import Tensor, nn

from ahs_seg.config import Config
from ahs_seg.modules.geodesic import angle_of_cosine


class Geodesic(Config):
    """Similarity along the sphere instead of the cosine (AHS-Seg's simple design, GCS).

    `curvature` is where the learned one starts. At 2 words at right angles to a place have the similarity 0, as with
    the cosine. The document starts at 1: there they have 1/2, and aggregation hardly learns.
    """

    curvature: PositiveFloat = 2.0

    def build(self) -> GeodesicSimilarity:
        """The similarity."""
        return GeodesicSimilarity(self.curvature)


class GeodesicSimilarity(nn.Module):
    """1 - k d / pi of the angle d, where the curvature k > 0 is learned: a falling map of the angle, one parameter.

    The published code projects words and patches with separate learned layers first, which destroys what CLIP aligned,
    and normalises the image along its width; here the vectors stay CLIP's. Most similar classes stay most similar.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"raw_curvature"})

    def __init__(self, curvature: float = 2.0) -> None:
        super().__init__()
        self.raw_curvature = nn.Parameter(torch.tensor(math.log(math.expm1(curvature))))

    @property
    def curvature(self) -> Float[Tensor, ""]:
        """The curvature, above zero."""
        return F.softplus(self.raw_curvature)

    def forward(self, cosine: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """The similarity of pairs with these cosines; 1 for the same direction, 1 - k for opposite ones."""
        return 1 - self.curvature * angle_of_cosine(cosine) / math.pi
