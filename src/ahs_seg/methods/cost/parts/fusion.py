"""MH-FPN: levels of the vision tower on a common hypersphere, fused into one map for the appearance guidance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from ahs_seg.config import Config, ConfigError
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.modules.resize import nearest_labels
from ahs_seg.types import IGNORE, TrainingForward

HALF_WEIGHT = 0.5
_LEAST = 1e-6
_SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


def boundary_loss(logits: Float[Tensor, "b t h w"], labels: Int[Tensor, "b H W"]) -> Float[Tensor, ""]:
    """Cross-entropy of the edge strength of each class against that of its mask, at full and at half resolution.

    Labels are taken at the resolution of the logits. Of each image the classes that are present count, at positions
    none of whose eight neighbours is without a label; the loss is a mean over all of these. At half resolution
    probabilities and masks are 2x2 means, and a position has a label if all four have. No class present: 0.

    Source: AHS-Seg, boundary-aware loss. The published code takes gradients of class numbers, so that an edge between
    classes 3 and 120 counts sixty times one between 3 and 5, compares them with the maps of all classes, and divides
    by the strongest edge, which is that to ignored pixels. Its value is recorded in the parity tests.
    """
    small = nearest_labels(labels, (logits.shape[-2], logits.shape[-1]))
    valid = small != IGNORE
    present = F.one_hot(small.clamp(min=0), logits.shape[1]).mul(valid.unsqueeze(-1)).any(2).any(1)
    image, row = present.nonzero(as_tuple=True)
    if not len(image):
        return logits.sum() * 0
    probability = logits[image, row].sigmoid()
    mask = (small[image] == row.view(-1, 1, 1)).to(probability.dtype)
    full = _scale_loss(probability, mask, valid[image])
    complete = _halved(valid.to(mask.dtype)) == 1
    half = _scale_loss(_halved(probability), _halved(mask), complete[image])
    return (full + HALF_WEIGHT * half) / (1 + HALF_WEIGHT)


def edges(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Edge strength of maps with values in [0, 1]: the Sobel gradient over 4, at most 1, which a full step gives."""
    kernel = torch.tensor(_SOBEL, device=maps.device, dtype=maps.dtype)
    kernels = torch.stack([kernel, kernel.T]).unsqueeze(1)
    gradient = F.conv2d(F.pad(maps.unsqueeze(1), (1, 1, 1, 1), mode="replicate"), kernels)
    return ((gradient.square().sum(1) + 1e-12).sqrt() / 4).clamp(max=1)


def _halved(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h2 w2"]:
    return F.avg_pool2d(maps.unsqueeze(1), 2).squeeze(1)


def _scale_loss(
    probability: Float[Tensor, "n h w"], mask: Float[Tensor, "n h w"], valid: Bool[Tensor, "n h w"]
) -> Float[Tensor, ""]:
    inside = F.max_pool2d((~valid).to(mask.dtype).unsqueeze(1), 3, stride=1, padding=1).squeeze(1) == 0
    if not inside.any():
        return probability.sum() * 0
    strength = edges(probability).clamp(_LEAST, 1 - _LEAST)
    return F.binary_cross_entropy(strength[inside], edges(mask)[inside])


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
            ConfigError: a level that the tower does not have; the message names the valid range.
        """
        levels = self.levels or tuple(sorted({max(part * depth // 3 - 1, 0) for part in (1, 2, 3)}))
        return HypersphericalFusion(dim, width, levels=check_levels(levels, depth))

    def term(self, fusion: HypersphericalFusion, classes: TrainingClasses) -> BoundaryTerm:
        """What the fusion asks of training."""
        del fusion, classes
        return BoundaryTerm(self)


class HypersphericalFusion(nn.Module):
    """Each level aligned to a hypersphere and enhanced, their weighted mean, and an output projection.

    The weights are a softmax over one learned number per level. Source: AHS-Seg, multi-scale hyperspherical FPN. There
    its size is fixed to 512 and it never runs: its hook on the last block does not fire, since dense CLIP features
    leave that block another way, and the sliding window leaves it out.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"weights"})

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

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"radius"})

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
        ConfigError: naming the level and the valid range.
    """
    if wrong := [level for level in levels if not 0 <= level < depth]:
        raise ConfigError(
            f"fusion level {wrong[0]} does not exist; this backbone has {depth} vision blocks, so levels are 0 to "
            f"{depth - 1}. Choose fusion.levels among them."
        )
    return tuple(levels)


class BoundaryTerm(nn.Module):
    """MH-FPN: the boundary loss of the logits."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.weight = config.boundary_weight

    def forward(self, fusion: HypersphericalFusion, view: TrainingForward) -> dict[str, Tensor]:
        """The loss, called `boundary`."""
        del fusion  # its maps act through the logits
        return {"boundary": self.weight * boundary_loss(view.output.logits, view.labels)}

    def statistics(self, fusion: HypersphericalFusion) -> dict[str, float]:
        """Shares of the fused levels."""
        return fusion.statistics()
