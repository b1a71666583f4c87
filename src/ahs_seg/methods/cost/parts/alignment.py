"""The alignment of HPS-Seg: a small learned rotation of dense features before the comparison with text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from ahs_seg.config import Width
from ahs_seg.modules.full_precision import widened
from ahs_seg.modules.settings import ModuleConfig


class Alignment(ModuleConfig):
    """Config of the hyperspherical alignment (HPS-Seg, HPA).

    `share` limits the angle between a feature and its aligned version: about 6 degrees at 0.1.
    """

    TUNED: ClassVar[Mapping[str, Any]] = {"share": 0.03}

    reduction: Width = 4
    share: NonNegativeFloat = 0.1

    def build(self, dim: int) -> HypersphericalAligner:
        """The aligner for dense features with `dim` channels."""
        return HypersphericalAligner(dim, reduction=self.reduction, share=self.share)


class HypersphericalAligner(nn.Module):
    """Aligned features e = normalise(f + share * normalise(MLP(f))) of the normalised features f.

    Source: HPS-Seg, HPA. The published code uses e only in the loss and then discards it; here e is compared with the
    text embeddings, in training and at inference, as the text of the method says.
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
        """The aligned features, normalised to unit length."""
        unit = F.normalize(widened(dense), dim=1)
        return F.normalize(unit + self.share * F.normalize(widened(self.mlp(unit)), dim=1), dim=1)
