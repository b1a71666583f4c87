"""MH-FPN: hidden levels of the vision tower, projected to hyperspheres and fused for the appearance guidance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from ahs_seg.config import Config, ConfigError
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.modules.constants import made_on
from ahs_seg.modules.full_precision import widened
from ahs_seg.modules.resize import nearest_labels
from ahs_seg.types import IGNORE, TrainingForward

HALF_WEIGHT = 0.5
FUSED_SHARE = 0.5
_LEAST = 1e-6
_SMOOTH, _SLOPE = (1.0, 2.0, 1.0), (-1.0, 0.0, 1.0)
"""The two factors of the Sobel kernel."""


def boundary_loss(logits: Float[Tensor, "b t h w"], labels: Int[Tensor, "b H W"]) -> Float[Tensor, ""]:
    """Binary cross-entropy between predicted and true edge strength of each class, at full and at half resolution.

    Label maps are resized to the resolution of the logits. The loss is the mean over the classes present in each image
    and over the positions where all eight neighbours have a label. At half resolution probabilities and masks are 2x2
    means, and a position has a label if all four pixels have one. Without any class present the loss is 0.

    Source: AHS-Seg, boundary-aware loss. The published code computes gradients of class indices, so that an edge
    between classes 3 and 120 counts sixty times one between 3 and 5, compares them with the maps of all classes, and
    divides by the strongest edge, which is that to ignored pixels. Its value is recorded in the parity tests.
    """
    small = nearest_labels(labels, (logits.shape[-2], logits.shape[-1]))
    valid = small != IGNORE
    image, row = _present(small, logits.shape[1]).nonzero(as_tuple=True)
    if not len(image):
        return logits.sum() * 0
    probability = logits[image, row].sigmoid()
    mask = (small[image] == row.view(-1, 1, 1)).to(probability.dtype)
    full = _scale_loss(probability, mask, valid[image])
    complete = _halved(valid.to(mask.dtype)) == 1
    half = _scale_loss(_halved(probability), _halved(mask), complete[image])
    return (full + HALF_WEIGHT * half) / (1 + HALF_WEIGHT)


def edges(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Edge strength in [0, 1] of maps with values in [0, 1]: the Sobel gradient magnitude divided by 4.

    A step from 0 to 1 has the edge strength 1.
    """
    smooth, slope = made_on(maps.device, (*_SMOOTH, *_SLOPE)).to(maps.dtype).view(2, 3)
    kernel = torch.outer(smooth, slope)
    kernels = torch.stack([kernel, kernel.T]).unsqueeze(1)
    gradient = F.conv2d(F.pad(maps.unsqueeze(1), (1, 1, 1, 1), mode="replicate"), kernels)
    return ((gradient.square().sum(1) + 1e-12).sqrt() / 4).clamp(max=1)


def _present(labels: Int[Tensor, "b h w"], classes: int) -> Bool[Tensor, "b t"]:
    """Whether each class occurs in each label map."""
    place = torch.where(labels == IGNORE, classes, labels).flatten(1)  # void has a column of its own
    first = torch.arange(len(labels), device=labels.device)[:, None] * (classes + 1)
    found = torch.zeros(len(labels) * (classes + 1), dtype=torch.bool, device=labels.device)
    return found.index_fill_(0, (first + place).flatten(), 1).view(len(labels), -1)[:, :classes]


def _halved(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h2 w2"]:
    return F.avg_pool2d(maps.unsqueeze(1), 2).squeeze(1)


def _scale_loss(
    probability: Float[Tensor, "n h w"], mask: Float[Tensor, "n h w"], valid: Bool[Tensor, "n h w"]
) -> Float[Tensor, ""]:
    inside = F.max_pool2d((~valid).to(mask.dtype).unsqueeze(1), 3, stride=1, padding=1).squeeze(1) == 0
    strength = edges(probability).clamp(_LEAST, 1 - _LEAST)
    entropy = F.binary_cross_entropy(strength, edges(mask), weight=inside.to(mask.dtype), reduction="sum")
    return entropy / inside.sum().clamp(min=1)


Combination = Literal["mean", "residual"]


class FusionConfig(Config):
    """Config of the multi-scale hyperspherical fusion (AHS-Seg, MH-FPN).

    `levels` are indices (0-based) of vision blocks; the last index means the dense output of the last block. By
    default they are at one third, two thirds and the full depth of the tower. `boundary_weight` is the weight of the
    boundary loss. `combination` "mean" guides with the mean of dense and fused map; "residual" adds the fused map,
    which starts at zero, so that the first step is that of the method without it.
    """

    levels: tuple[int, ...] | None = Field(default=None, min_length=1)
    boundary_weight: float = Field(default=0.1, ge=0)
    combination: Combination = "mean"

    def build(self, dim: int, width: int, depth: int) -> HypersphericalFusion:
        """The fusion module, from levels with `width` channels of a tower with `depth` blocks to `dim` channels.

        Raises:
            ConfigError: the tower does not have a level; the message names the valid range.
        """
        levels = self.levels or tuple(sorted({max(part * depth // 3 - 1, 0) for part in (1, 2, 3)}))
        return HypersphericalFusion(dim, width, levels=check_levels(levels, depth), combination=self.combination)

    def term(self, fusion: HypersphericalFusion, classes: TrainingClasses) -> BoundaryTerm:
        """The loss term of the fusion."""
        del fusion, classes
        return BoundaryTerm(self)


class HypersphericalFusion(nn.Module):
    """Fused map of hidden levels: each level is projected to a hypersphere and enhanced, then averaged with weights.

    The weights are a softmax over one learned parameter per level; an output projection follows. Source: AHS-Seg,
    multi-scale hyperspherical FPN. There its size is fixed to 512 and it never runs: its hook on the last block is not
    called, because dense CLIP features bypass the forward of that block, and the sliding window skips it. The
    combination "residual" is ours.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"weights"})

    def __init__(self, dim: int, width: int, *, levels: Sequence[int], combination: Combination = "mean") -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.combination = combination
        self.processors = nn.ModuleList(LevelProcessor(dim, width) for _ in self.levels)
        self.weights = nn.Parameter(torch.full((len(self.levels),), 1 / len(self.levels)))
        self.output = nn.Sequential(
            nn.Conv2d(dim, dim, 3, padding=1), group_norm(dim), nn.GELU(), nn.Conv2d(dim, dim, 1)
        )
        if combination == "residual":
            for parameter in self.output[-1].parameters():
                nn.init.zeros_(parameter)

    @property
    def shares(self) -> Float[Tensor, " levels"]:
        """The weights of the levels; they sum to 1."""
        return self.weights.softmax(0)

    def forward(self, levels: Sequence[Float[Tensor, "b c h w"]]) -> Float[Tensor, "b d h w"]:
        """The fused map; the inputs are in the order of `self.levels`."""
        enhanced = torch.stack([part(level) for part, level in zip(self.processors, levels, strict=True)])
        fused: Tensor = self.output(torch.einsum("l,lbdhw->bdhw", self.shares, enhanced))
        return fused

    def joined(
        self, dense: Float[Tensor, "b d h w"], levels: Sequence[Float[Tensor, "b c h w"]]
    ) -> Float[Tensor, "b d h w"]:
        """The dense map together with the fused one, for the appearance guidance."""
        if self.combination == "residual":
            return dense + self(levels)
        return (1 - FUSED_SHARE) * dense + FUSED_SHARE * self(levels)

    def statistics(self) -> dict[str, float]:
        """Values to log: the weight of every level."""
        return {f"fusion/{level}": share for level, share in zip(self.levels, self.shares.tolist(), strict=True)}


class LevelProcessor(nn.Module):
    """Projection of one level to a hypersphere of learned radius, followed by a depthwise-separable convolution.

    The radius is the scale of the convolution's input. If `width` equals `dim`, the level is taken as it is, without
    linear projection, norm and GELU, as in the original.
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
        """The level with the feature vector of every position scaled to length `radius`."""
        aligned = self.align(level.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.radius * F.normalize(widened(aligned), dim=1)

    def forward(self, level: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """The projected and enhanced level."""
        enhanced: Tensor = self.enhance(self.on_sphere(level))
        return enhanced


def group_norm(dim: int) -> nn.GroupNorm:
    """Group norm with gcd(32, dim) groups."""
    return nn.GroupNorm(math.gcd(32, dim), dim)


def check_levels(levels: Sequence[int], depth: int) -> tuple[int, ...]:
    """The levels as a tuple, after a check that a tower with `depth` blocks has them.

    Raises:
        ConfigError: a level does not exist; the message names it and the valid range.
    """
    if wrong := [level for level in levels if not 0 <= level < depth]:
        raise ConfigError(
            f"fusion level {wrong[0]} does not exist; this backbone has {depth} vision blocks, so levels are 0 to "
            f"{depth - 1}. Choose fusion.levels among them."
        )
    return tuple(levels)


class BoundaryTerm(nn.Module):
    """Loss term of MH-FPN: the boundary loss of the logits."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.weight = config.boundary_weight

    def forward(self, fusion: HypersphericalFusion, view: TrainingForward) -> dict[str, Tensor]:
        """The weighted loss, under the key `boundary`."""
        del fusion  # the fused maps affect the loss through the logits
        return {"boundary": self.weight * boundary_loss(view.output.logits, view.labels)}

    def statistics(self, fusion: HypersphericalFusion) -> dict[str, float]:
        """Values to log: the weights of the fused levels."""
        return fusion.statistics()
