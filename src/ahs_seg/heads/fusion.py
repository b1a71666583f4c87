"""MH-FPN: levels of the vision tower on a common hypersphere, fused into one map for the appearance guidance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from ahs_seg.config import Config


class FusionConfig(Config):
    """Multi-scale hyperspherical fusion (AHS-Seg, MH-FPN).

    `levels` are indices of vision blocks, the last index meaning the dense output of the last block; by default a
    third, two thirds and the end of the tower. `boundary_weight` is the weight of the boundary loss.
    """

    levels: tuple[int, ...] | None = Field(default=None, min_length=1)
    boundary_weight: float = Field(default=0.1, ge=0)

    def build(self, dim: int, width: int, depth: int) -> HypersphericalFusion:
        """The fusion of levels `width` wide of a tower `depth` deep into maps `dim` wide.

        Raises:
            ValueError: a level that the tower does not have; the message names the valid range.
        """
        levels = self.levels or tuple(sorted({max(part * depth // 3 - 1, 0) for part in (1, 2, 3)}))
        return HypersphericalFusion(dim, width, levels=check_levels(levels, depth))


class HypersphericalFusion(nn.Module):
    """Each level aligned to a hypersphere and enhanced, their weighted mean, and an output projection.

    The weights are a softmax over one learned number per level. Source: AHS-Seg, multi-scale hyperspherical FPN. There
    its size is fixed to 512 and it never runs: its hook on the last block does not fire, since dense CLIP features
    leave that block another way, and the sliding window leaves it out.
    """

    SETTINGS: ClassVar[frozenset[str]] = frozenset({"weights"})

    def __init__(self, dim: int, width: int, *, levels: Sequence[int]) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.processors = nn.ModuleList(LevelProcessor(dim, width) for _ in self.levels)
        self.weights = nn.Parameter(torch.full((len(self.levels),), 1 / len(self.levels)))
        self.output = nn.Sequential(
            nn.Conv2d(dim, dim, 3, padding=1), group_norm(dim), nn.GELU(), nn.Conv2d(dim, dim, 1)
        )

    @property
    def shares(self) -> Float[Tensor, " levels"]:
        """How much each level counts; they add up to 1."""
        return self.weights.softmax(0)

    def forward(self, levels: Sequence[Float[Tensor, "b c h w"]]) -> Float[Tensor, "b d h w"]:
        """The fused map of the levels, given in the order of `levels`."""
        enhanced = torch.stack([part(level) for part, level in zip(self.processors, levels, strict=True)])
        fused: Tensor = self.output(torch.einsum("l,lbdhw->bdhw", self.shares, enhanced))
        return fused

    def statistics(self) -> dict[str, float]:
        """The share of every level."""
        return {f"fusion/{level}": share for level, share in zip(self.levels, self.shares.tolist(), strict=True)}


class LevelProcessor(nn.Module):
    """One level on a hypersphere of learned radius, then a depthwise-separable convolution.

    The radius sets the scale at which the convolution sees the level. The projection is the identity where the sizes
    are equal, as in the original.
    """

    SETTINGS: ClassVar[frozenset[str]] = frozenset({"radius"})

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.align = (
            nn.Sequential(nn.Linear(width, dim), nn.LayerNorm(dim), nn.GELU()) if width != dim else nn.Identity()
        )
        self.radius = nn.Parameter(torch.tensor(math.sqrt(dim)))
        self.enhance = nn.Sequential(
            nn.Conv2d(dim, dim, 3, padding=1, groups=dim), nn.Conv2d(dim, dim, 1), group_norm(dim), nn.GELU()
        )

    def on_sphere(self, level: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """Every position as a vector of length `radius`."""
        aligned = self.align(level.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.radius * F.normalize(aligned, dim=1)

    def forward(self, level: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """The level, aligned and enhanced."""
        enhanced: Tensor = self.enhance(self.on_sphere(level))
        return enhanced


def group_norm(dim: int) -> nn.GroupNorm:
    """32 groups, or as many as the number of channels has in common with 32."""
    return nn.GroupNorm(math.gcd(32, dim), dim)


def check_levels(levels: Sequence[int], depth: int) -> tuple[int, ...]:
    """The levels, if a tower `depth` deep has them all.

    Raises:
        ValueError: naming the level and the valid range.
    """
    if wrong := [level for level in levels if not 0 <= level < depth]:
        raise ValueError(
            f"fusion level {wrong[0]} does not exist; this backbone has {depth} vision blocks, so levels are 0 to "
            f"{depth - 1}. Choose fusion.levels among them."
        )
    return tuple(levels)
