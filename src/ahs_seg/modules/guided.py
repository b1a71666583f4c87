"""A linear map of features beside guidance, without the concatenation."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class GuidedLinear(nn.Linear):
    """`Linear([features, guidance])` as a sum: the part of the guidance is computed apart, by `guide`.

    The weight has the columns of the features first, then those of the guidance, as in CAT-Seg.
    """

    def __init__(self, dim: int, guidance_dim: int) -> None:
        super().__init__(dim + guidance_dim, dim)
        self.dim = dim

    def guide(self, guidance: Float[Tensor, "*n g"]) -> Float[Tensor, "*n c"]:
        """The guidance's part, bias included."""
        return F.linear(guidance, self.weight[:, self.dim :], self.bias)

    def forward(  # type: ignore[override]  # a Linear in two steps
        self, features: Float[Tensor, "*n c"], guided: Float[Tensor, "*#n c"]
    ) -> Float[Tensor, "*n c"]:
        """The whole map, given the guidance's part."""
        return F.linear(features, self.weight[:, : self.dim]) + guided
