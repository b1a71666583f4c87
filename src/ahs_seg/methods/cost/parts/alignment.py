"""The alignment of HPS-Seg: dense features turned a little on the sphere before they meet the words."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from ahs_seg.config import Config


class Alignment(Config):
    """Hyperspherical alignment (HPS-Seg, HPA): `share` bounds how far a feature turns, about 6 degrees at 0.1."""

    reduction: PositiveInt = 4
    share: NonNegativeFloat = 0.1

    def build(self, dim: int) -> HypersphericalAligner:
        """The aligner of dense features of this size."""
        return HypersphericalAligner(dim, reduction=self.reduction, share=self.share)


class HypersphericalAligner(nn.Module):
    """Unit vectors e = normalise(f + share * normalise(MLP(f))) of the normalised features f.

    Source: HPS-Seg, HPA. The published code computes the loss from e and throws it away; here e is what the words are
    compared with, in training and at inference, as the method's text says.
    """

    def __init__(self, dim: int, *, reduction: int = 4, share: float = 0.1) -> None:
        super().__init__()
        hidden = max(1, dim // reduction)
        self.share = share
        self.mlp = nn.Sequential(nn.Conv2d(dim, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, dim, 1))
        for part in self.mlp:
            if isinstance(part, nn.Conv2d):
                nn.init.xavier_uniform_(part.weight, gain=0.1)
                nn.init.zeros_(part.bias)  # type: ignore[arg-type]  # these convolutions have one

    def forward(self, dense: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        """The aligned features, unit vectors."""
        unit = F.normalize(dense, dim=1)
        return F.normalize(unit + self.share * F.normalize(self.mlp(unit), dim=1), dim=1)
