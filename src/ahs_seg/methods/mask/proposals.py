"""Shared code of the mask family: padding, output from mask proposals, and losses with deep supervision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from ahs_seg.backbones.pixel import PixelBackbone
from ahs_seg.config import Config
from ahs_seg.methods.mask.predictions import ImageArea, QueryPrediction
from ahs_seg.methods.mask.set_loss import (
    MaskTargets,
    Match,
    MatchingCosts,
    PointSampling,
    RandomSource,
    match,
    number_of_masks,
    proposal_class_loss,
    proposal_mask_losses,
)
from ahs_seg.modules.constants import made_on
from ahs_seg.types import ClassText, ImageFeatures, MaskProposals, Output

MIN_SCORE = 1e-8
"""Lower bound of scores before the logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFeatures(ImageFeatures):
    """Image features with the mask predictions of all decoder layers, in order.

    Masks cover the padded images of `padded_size` pixels (height, width); the images are their top left `size` pixels.
    """

    predictions: tuple[QueryPrediction, ...]
    padded_size: tuple[int, int]
    size: tuple[int, int]

    @property
    def area(self) -> ImageArea:
        """The part of the padded images that is the image."""
        return ImageArea(self.size, self.padded_size)


def padded_size_of(images: Float[Tensor, "b 3 H W"], pixels: PixelBackbone) -> tuple[int, int]:
    """Height and width of the images, rounded up to multiples of the largest stride of the pixel backbone."""
    height, width = (-(-side // pixels.stride) * pixels.stride for side in images.shape[-2:])
    return height, width


def padded(images: Float[Tensor, "b 3 h w"], padded_size: tuple[int, int]) -> Float[Tensor, "b 3 H W"]:
    """Normalised images padded with zeros at the right and bottom, as in the original codes."""
    height, width = images.shape[-2:]
    return F.pad(images, (0, padded_size[1] - width, 0, padded_size[0] - height))


def proposal_output(
    features: MaskFeatures, classes: Float[Tensor, "b q t"], words: ClassText, compared: Float[Tensor, "b d h w"]
) -> Output:
    """Segmentation output from the last mask prediction and its scores of all text rows."""
    masks = features.predictions[-1].masks
    proposals = MaskProposals(masks, classes, features.padded_size, features.size)
    coarse = coarse_scores(proposals, (compared.shape[-2], compared.shape[-1]))
    return Output(coarse.clamp(min=MIN_SCORE).log(), features, words, compared, proposals=proposals)


def coarse_scores(proposals: MaskProposals, grid: tuple[int, int]) -> Float[Tensor, "b t h w"]:
    """Per-row scores with the mask logits downsampled to `grid`, a coarse grid over the padded image."""
    masks = F.interpolate(proposals.masks.float(), size=grid, mode="bilinear", align_corners=False).sigmoid()
    total = torch.einsum("bqt,bqhw->bthw", proposals.classes.float(), masks)
    return total / masks.sum(1, keepdim=True).clamp(min=1)


def inside_image(draw: RandomSource, area: ImageArea, device: torch.device) -> RandomSource:
    """A source of random points (x, y) of padded images that draws points of the image alone, from those of `draw`."""
    share = made_on(device, [own / whole for own, whole in zip(area.size, area.padded_size, strict=True)]).flip(0)
    return lambda shape: draw(shape) * share


class ProposalLossConfig(Config):
    """Weights of the losses of every prediction, and of the matching costs; the defaults are Mask2Former's.

    `points` are sampled for each mask (see `PointSampling`). Unmatched queries have the weight `void_weight` in the
    class loss.
    """

    mask: NonNegativeFloat = 5.0
    dice: NonNegativeFloat = 5.0
    label_cost: NonNegativeFloat = 2.0
    mask_cost: NonNegativeFloat = 5.0
    dice_cost: NonNegativeFloat = 5.0
    void_weight: NonNegativeFloat = 0.1
    points: PositiveInt = 12_544
    oversample: float = Field(default=3.0, ge=1)
    importance: float = Field(default=0.75, ge=0, le=1)

    @property
    def costs(self) -> MatchingCosts:
        """The weights of the matching cost."""
        return MatchingCosts(self.label_cost, self.mask_cost, self.dice_cost)


@dataclass(frozen=True, slots=True)
class ClassTerm:
    """Class logits [b q k + 1] of every prediction (last column: no object), and the weight of their loss."""

    logits: Sequence[Tensor]
    weight: float


def supervise(
    masks: Sequence[Float[Tensor, "b q h w"]],
    terms: Mapping[str, ClassTerm],
    targets: Sequence[MaskTargets],
    config: ProposalLossConfig,
    draw: RandomSource,
    everywhere: float | None = None,
) -> tuple[dict[str, Tensor], list[Match]]:
    """Weighted losses of all predictions, each with its own matching, and the matches of the last prediction.

    The logits of the first term are used for the matching. Losses have the names `mask`, `dice` and those of the terms,
    with the suffixes `_0`, `_1`, ... for predictions before the last. The last prediction draws its random points
    first, as in the original codes. `everywhere`: see `number_of_masks`.
    """
    count, last = number_of_masks(targets, everywhere), len(masks) - 1
    leading = next(iter(terms.values()))
    sampling = PointSampling(config.points, config.oversample, config.importance)
    losses: dict[str, Tensor] = {}
    found: list[Match] = []
    for index in (last, *range(last)):
        suffix = "" if index == last else f"_{index}"
        matches = match(
            masks[index], leading.logits[index], targets, costs=config.costs, points=config.points, draw=draw
        )
        entropy, dice = proposal_mask_losses(masks[index], matches, targets, count=count, sampling=sampling, draw=draw)
        for name, term in terms.items():
            loss = proposal_class_loss(term.logits[index], matches, targets, no_object_weight=config.void_weight)
            losses[name + suffix] = term.weight * loss
        losses |= {f"mask{suffix}": config.mask * entropy, f"dice{suffix}": config.dice * dice}
        found = matches if index == last else found
    return losses, found
