"""GCS: geodesic similarity (a linear function of the angle) instead of the cosine."""

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
    """Config of the geodesic similarity that replaces the cosine (AHS-Seg's simple design, GCS).

    `curvature` is the initial value of the learned curvature. With 2, orthogonal vectors have the similarity 0, as with
    the cosine. The published document starts at 1: then they have 1/2, and the aggregation hardly learns.
    """

    curvature: PositiveFloat = 2.0

    def build(self) -> GeodesicSimilarity:
        """The similarity module."""
        return GeodesicSimilarity(self.curvature)


class GeodesicSimilarity(nn.Module):
    """Geodesic similarity 1 - k d / pi of the angle d, with a learned curvature k > 0.

    The published code first projects text embeddings and patch features with separate learned layers, which destroys
    their alignment by CLIP, and normalises the image along its width; here CLIP's vectors are used. The similarity
    decreases with the angle, so the order of the classes by similarity does not change.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"raw_curvature"})

    def __init__(self, curvature: float = 2.0) -> None:
        super().__init__()
        self.raw_curvature = nn.Parameter(torch.tensor(math.log(math.expm1(curvature))))

    @property
    def curvature(self) -> Float[Tensor, ""]:
        """The curvature k, greater than 0."""
        return F.softplus(self.raw_curvature)

    def forward(self, cosine: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Similarities from cosines: 1 for equal directions, 1 - k for opposite ones."""
        return 1 - self.curvature * angle_of_cosine(cosine) / math.pi
