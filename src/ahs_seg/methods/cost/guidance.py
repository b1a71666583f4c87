"""Image guidance of the cost aggregation: an appearance map, and finer maps for the decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.types import ImageFeatures


@dataclass(frozen=True, slots=True)
class Guidance:
    """Guidance maps of the images at the resolution of the patch grid, and at two and four times that resolution."""

    appearance: Float[Tensor, "b g h w"]
    fine: Float[Tensor, "b g2 H2 W2"]
    finest: Float[Tensor, "b g4 H4 W4"]


class GuidancePyramid(nn.Module):
    """Guidance maps: projections of the dense features and of two hidden levels, the latter upsampled by 2 and 4.

    Source: CAT-Seg, "upsample1", "upsample2" and the guidance projections.
    """

    def __init__(
        self,
        dim: int,
        width: int,
        *,
        appearance_dim: int,
        upsampled_dims: Sequence[int],
        decoder_dims: Sequence[int],
    ) -> None:
        super().__init__()
        self.upsample_fine = nn.ConvTranspose2d(width, upsampled_dims[0], 2, stride=2)
        self.upsample_finest = nn.ConvTranspose2d(width, upsampled_dims[1], 4, stride=4)
        self.appearance = nn.Sequential(nn.Conv2d(dim, appearance_dim, 3, padding=1), nn.ReLU())
        self.fine = nn.Sequential(nn.Conv2d(upsampled_dims[0], decoder_dims[0], 3, padding=1), nn.ReLU())
        self.finest = nn.Sequential(nn.Conv2d(upsampled_dims[1], decoder_dims[1], 3, padding=1), nn.ReLU())

    def forward(self, features: ImageFeatures) -> Guidance:
        """The guidance maps of a batch; `features` must hold exactly two levels."""
        first, second = features.levels
        return Guidance(
            appearance=self.appearance(features.dense),
            fine=self.fine(self.upsample_fine(first)),
            finest=self.finest(self.upsample_finest(second)),
        )
