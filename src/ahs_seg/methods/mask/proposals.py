"""What the methods of the mask family share: padded frames, the answer in proposals, losses with deep supervision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from ahs_seg.backbones.pixel import PixelBackbone
from ahs_seg.config import Config
from ahs_seg.methods.mask.query_decoder import QueryPrediction
from ahs_seg.methods.mask.set_loss import (
    Draw,
    MaskTargets,
    Match,
    MatchingCosts,
    PointSampling,
    match,
    number_of_masks,
    proposal_class_loss,
    proposal_mask_losses,
)
from ahs_seg.types import ClassText, ImageFeatures, MaskProposals, Output

LEAST = 1e-8
"""Least score whose logarithm is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFeatures(ImageFeatures):
    """Features of images with mask predictions, the last one last.

    Masks span `frame` pixels (height, width), of which the images are the top left `size`.
    """

    predictions: tuple[QueryPrediction, ...]
    frame: tuple[int, int]
    size: tuple[int, int]


def frame_of(images: Float[Tensor, "b 3 H W"], pixels: PixelBackbone) -> tuple[int, int]:
    """The size of images padded to whole cells of the coarsest map of a pixel backbone."""
    height, width = (-(-side // pixels.stride) * pixels.stride for side in images.shape[-2:])
    return height, width


def padded(images: Float[Tensor, "b 3 h w"], frame: tuple[int, int]) -> Float[Tensor, "b 3 H W"]:
    """Normalised images with zeros to the right and below, as the originals pad them."""
    height, width = images.shape[-2:]
    return F.pad(images, (0, frame[1] - width, 0, frame[0] - height))


def answer(
    features: MaskFeatures, classes: Float[Tensor, "b q t"], words: ClassText, compared: Float[Tensor, "b d h w"]
) -> Output:
    """The output of a method whose last prediction has these scores of all rows."""
    masks = features.predictions[-1].masks
    proposals = MaskProposals(masks, classes, features.frame, features.size)
    afar = coarse_scores(proposals, (compared.shape[-2], compared.shape[-1]))
    return Output(afar.clamp(min=LEAST).log(), features, words, compared, proposals=proposals)


def coarse_scores(proposals: MaskProposals, grid: tuple[int, int]) -> Float[Tensor, "b t h w"]:
    """Scores of all rows seen from afar: with the masks at the places of a coarse grid over the frame."""
    masks = F.interpolate(proposals.masks.float(), size=grid, mode="bilinear", align_corners=False).sigmoid()
    total = torch.einsum("bqt,bqhw->bthw", proposals.classes.float(), masks)
    return total / masks.sum(1, keepdim=True).clamp(min=1)


class ProposalLossConfig(Config):
    """Weights of the losses of every prediction and costs of the matching; the defaults are those of Mask2Former.

    `points` are sampled for each mask (see `PointSampling`). A query that answers for nothing counts `void_weight` in
    the loss of classes.
    """

    mask: NonNegativeFloat = 5.0
    dice: NonNegativeFloat = 5.0
    label_cost: NonNegativeFloat = 2.0
    mask_cost: NonNegativeFloat = 5.0
    dice_cost: NonNegativeFloat = 5.0
    void_weight: NonNegativeFloat = 0.1
    points: PositiveInt = 12_544
    oversample: PositiveFloat = 3.0
    importance: float = Field(default=0.75, ge=0, le=1)

    @property
    def costs(self) -> MatchingCosts:
        """The costs of a pair."""
        return MatchingCosts(self.label_cost, self.mask_cost, self.dice_cost)


@dataclass(frozen=True, slots=True)
class ClassTerm:
    """Class logits [b q k + 1] of every prediction, and the weight of their loss."""

    logits: Sequence[Tensor]
    weight: float


def supervise(
    masks: Sequence[Float[Tensor, "b q h w"]],
    terms: Mapping[str, ClassTerm],
    targets: Sequence[MaskTargets],
    config: ProposalLossConfig,
    draw: Draw,
) -> tuple[dict[str, Tensor], list[Match]]:
    """Weighted losses of all predictions, each matched by itself, and the matches of the last one.

    The first term's logits decide the matching. Losses are called `mask`, `dice` and as the terms are, with `_0`, `_1`,
    ... for predictions before the last. The last prediction draws its random points first, as in the originals.
    """
    count, last = number_of_masks(targets), len(masks) - 1
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
            loss = proposal_class_loss(term.logits[index], matches, targets, void_weight=config.void_weight)
            losses[name + suffix] = term.weight * loss
        losses |= {f"mask{suffix}": config.mask * entropy, f"dice{suffix}": config.dice * dice}
        found = matches if index == last else found
    return losses, found
