"""Losses of mask proposals that are matched to targets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ahs_seg.losses.matching import Match
from ahs_seg.losses.points import Draw, MaskTargets, PointSampling, sample


def proposal_class_loss(
    logits: Float[Tensor, "b q k"], matches: Sequence[Match], targets: Sequence[MaskTargets], *, void_weight: float
) -> Float[Tensor, ""]:
    """Cross-entropy over the classes and, as the last, none: the target of a query that answers for nothing.

    A mean in which queries without a target count `void_weight`. Source: Mask2Former.
    """
    void = logits.shape[-1] - 1
    wanted = torch.full(logits.shape[:2], void, device=logits.device)
    for row, match, target in zip(wanted, matches, targets, strict=True):
        row[match.queries] = target.labels[match.targets]
    weights = torch.ones(void + 1, device=logits.device)
    weights[void] = void_weight
    return F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), weight=weights)


def proposal_mask_losses(
    masks: Float[Tensor, "b q h w"],
    matches: Sequence[Match],
    targets: Sequence[MaskTargets],
    *,
    count: float,
    sampling: PointSampling,
    draw: Draw,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Binary cross-entropy and dice loss of matched masks at chosen points; sums over masks, divided by `count`.

    Without any match both are zero.
    """
    predicted = torch.cat([mask[match.queries] for mask, match in zip(masks, matches, strict=True)]).float()
    wanted = torch.cat([target.masks[match.targets] for target, match in zip(targets, matches, strict=True)])
    points = sampling.choose(predicted.detach(), draw)
    if not len(predicted):
        return predicted.sum(), predicted.sum()
    with torch.no_grad():
        truth = sample(wanted[:, None], points)[:, 0]
    logits = sample(predicted[:, None], points)[:, 0]
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(1).sum()
    chance = logits.sigmoid()
    dice = 1 - (2 * (chance * truth).sum(1) + 1) / (chance.sum(1) + truth.sum(1) + 1)
    return entropy / count, dice.sum() / count
