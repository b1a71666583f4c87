"""DC-HSP: image and text projected onto the hypersphere that forms the correlation, words by their complexity."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from ahs_seg.config import Config


class ProjectionConfig(Config):
    """Dynamic class-aware hyperspherical projection (AHS-Seg, DC-HSP).

    `rank` is that of the dynamic part and `scale` where its factor starts; `dropout` is that of the complexity network.
    `contrastive_weight` and `hierarchy_weight` are the weights of its two losses.
    """

    rank: PositiveInt = 64
    scale: float = 0.1
    hidden: tuple[PositiveInt, PositiveInt] = (256, 128)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    contrastive_weight: float = Field(default=0.05, ge=0)
    hierarchy_weight: float = Field(default=0.02, ge=0)

    def build(self, dim: int) -> DynamicProjection:
        """The projection of the joint space, which has `dim` dimensions."""
        estimator = ComplexityEstimator(dim, self.hidden, dropout=self.dropout)
        return DynamicProjection(dim, estimator, rank=self.rank, scale=self.scale)


class ComplexityEstimator(nn.Module):
    """How complex a class is, from the embedding of its words (AHS-Seg, class complexity estimator).

    The original has three more heads, which nothing uses.
    """

    def __init__(self, dim: int, hidden: tuple[int, int] = (256, 128), *, dropout: float = 0.1) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(dim, hidden[0]),
            nn.LayerNorm(hidden[0]),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden[0], hidden[1]),
            nn.LayerNorm(hidden[1]),
            nn.GELU(),
            nn.Linear(hidden[1], 1),
        )

    def forward(self, text: Float[Tensor, "*n d"]) -> Float[Tensor, "*n 1"]:
        """A number in (0, 1) for every embedding."""
        complexity: Tensor = self.network(text).sigmoid()
        return complexity


class DynamicProjection(nn.Module):
    """Image features by one matrix, words by a matrix that depends on their complexity: P_base + c s B A.

    Both base matrices start as the identity and B as zero, so that the correlation starts as CLIP's. In the original
    the projected features enter losses only, and the sizes do not fit (768 for 512); here they form the correlation.
    A radius after which everything is normalised, as the original has it, does nothing and is left out.

    Source: AHS-Seg, dynamic class-aware hyperspherical projection.
    """

    SETTINGS: ClassVar[frozenset[str]] = frozenset({"scale"})

    def __init__(self, dim: int, estimator: ComplexityEstimator, *, rank: int = 64, scale: float = 0.1) -> None:
        super().__init__()
        self.estimator = estimator
        self.image_base = _identity(dim)
        self.text_base = _identity(dim)
        self.down = nn.Linear(dim, rank, bias=False)
        self.up = nn.Linear(rank, dim, bias=False)
        nn.init.zeros_(self.up.weight)
        self.scale = nn.Parameter(torch.tensor(scale))

    def image(self, features: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        """Directions of the patches in the space of the correlation, of unit length."""
        projected = F.normalize(features, dim=1).permute(0, 2, 3, 1) @ self.image_base.weight.T
        return F.normalize(projected, dim=-1).permute(0, 3, 1, 2)

    def text(self, embeddings: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """Directions of the words in the space of the correlation, of unit length."""
        return self.project(F.normalize(embeddings, dim=-1))

    def project(self, words: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """What `text` does after normalising."""
        dynamic = self.up(self.down(words))
        projected = self.text_base(words) + self.estimator(words) * self.scale * dynamic
        return F.normalize(projected, dim=-1)

    def complexity(self, embeddings: Float[Tensor, "*n d"]) -> Float[Tensor, "*n"]:
        """How complex each text is, in (0, 1)."""
        return self.estimator(F.normalize(embeddings, dim=-1)).squeeze(-1)


def _identity(dim: int) -> nn.Linear:
    base = nn.Linear(dim, dim, bias=False)
    nn.init.eye_(base.weight)
    return base
