"""A linear layer on features concatenated with guidance, computed without the concatenation."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class GuidedLinear(nn.Linear):
    """A linear layer on [features, guidance], computed as a sum of two linear layers.

    The term of the guidance is computed separately, by `guide`, so that it can be reused for all classes. In the weight
    matrix the columns of the features come first, then those of the guidance, as in CAT-Seg.
    """

    def __init__(self, dim: int, guidance_dim: int) -> None:
        super().__init__(dim + guidance_dim, dim)
        self.dim = dim

    def guide(self, guidance: Float[Tensor, "*n g"]) -> Float[Tensor, "*n c"]:
        """The guidance term of the sum, bias included."""
        return F.linear(guidance, self.weight[:, self.dim :], self.bias)

    def forward(  # type: ignore[override]  # a Linear in two steps
        self, features: Float[Tensor, "*n c"], guided: Float[Tensor, "*#n c"]
    ) -> Float[Tensor, "*n c"]:
        """The output of the layer; `guided` is the guidance term from `guide`."""
        return F.linear(features, self.weight[:, : self.dim]) + guided
