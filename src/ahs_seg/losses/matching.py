"""Which query answers for which mask: the assignment of least cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ahs_seg.losses.points import Draw, MaskTargets, sample


@dataclass(frozen=True, slots=True)
class Match:
    """Queries of one image (ascending), and the target that each answers for."""

    queries: Int[Tensor, " n"]
    targets: Int[Tensor, " n"]


@dataclass(frozen=True, slots=True)
class MatchingCosts:
    """Weights of the three terms of the cost of a pair; the defaults are those of Mask2Former."""

    label: float = 2.0
    mask: float = 5.0
    dice: float = 5.0


@torch.no_grad()
def match(
    masks: Float[Tensor, "b q h w"],
    logits: Float[Tensor, "b q k"],
    targets: Sequence[MaskTargets],
    *,
    costs: MatchingCosts,
    points: int,
    draw: Draw,
) -> list[Match]:
    """The assignment of queries to targets with the least sum of costs, image by image.

    Masks are compared at the same `points` uniform points; `logits` are those of the classes and, last, of none.
    Source: Mask2Former, `HungarianMatcher`.
    """
    return [
        _match(*pair, costs=costs, points=draw((1, points, 2)))
        for pair in zip(masks.float(), logits.float(), targets, strict=True)
    ]


def _match(
    masks: Float[Tensor, "q h w"],
    logits: Float[Tensor, "q k"],
    target: MaskTargets,
    *,
    costs: MatchingCosts,
    points: Float[Tensor, "1 p 2"],
) -> Match:
    predicted, wanted = sample(masks[None], points)[0], sample(target.masks[None], points)[0]
    cost = -costs.label * logits.softmax(-1)[:, target.labels]
    cost = cost + costs.mask * pairwise_bce(predicted, wanted) + costs.dice * pairwise_dice(predicted, wanted)
    # A cost that is not finite is taken only where there is no other choice.
    queries, chosen = linear_sum_assignment(cost.nan_to_num(nan=1e30, posinf=1e30, neginf=1e30).cpu().numpy())
    device = masks.device
    return Match(torch.from_numpy(queries).long().to(device), torch.from_numpy(chosen).long().to(device))


def pairwise_bce(logits: Float[Tensor, "q p"], targets: Float[Tensor, "n p"]) -> Float[Tensor, "q n"]:
    """Binary cross-entropy of every query with every target, mean over points."""
    return (F.softplus(logits).sum(1, keepdim=True) - logits @ targets.T) / logits.shape[1]


def pairwise_dice(logits: Float[Tensor, "q p"], targets: Float[Tensor, "n p"]) -> Float[Tensor, "q n"]:
    """Dice loss of every query with every target."""
    masks = logits.sigmoid()
    return 1 - (2 * masks @ targets.T + 1) / (masks.sum(1)[:, None] + targets.sum(1) + 1)
