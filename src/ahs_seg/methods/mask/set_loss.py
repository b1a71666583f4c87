"""Losses of mask proposals: targets, matching of queries, point sampling, class loss and mask losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ahs_seg.types import IGNORE


def proposal_class_loss(
    logits: Float[Tensor, "b q k"], matches: Sequence[Match], targets: Sequence[MaskTargets], *, no_object_weight: float
) -> Float[Tensor, ""]:
    """Cross-entropy over classes plus a final no-object class, the target of unmatched queries.

    Weighted mean in which unmatched queries have the weight `no_object_weight`. Source: Mask2Former.
    """
    no_object = logits.shape[-1] - 1
    wanted = torch.full(logits.shape[:2], no_object, device=logits.device)
    for row, match, target in zip(wanted, matches, targets, strict=True):
        row[match.queries] = target.labels[match.targets]
    weights = torch.ones(no_object + 1, device=logits.device)
    weights[no_object] = no_object_weight
    return F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), weight=weights)


def proposal_mask_losses(
    masks: Float[Tensor, "b q h w"],
    matches: Sequence[Match],
    targets: Sequence[MaskTargets],
    *,
    count: float,
    sampling: PointSampling,
    draw: RandomSource,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Binary cross-entropy and Dice loss of matched masks at sampled points; sums over masks, divided by `count`.

    Without any match both losses are zero.
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


@dataclass(frozen=True, slots=True)
class Match:
    """Matched pairs of one image: query indices (ascending), and the index of the target of each query."""

    queries: Int[Tensor, " n"]
    targets: Int[Tensor, " n"]


@dataclass(frozen=True, slots=True)
class MatchingCosts:
    """Weights of the three terms of the matching cost of a query and a target; the defaults are Mask2Former's."""

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
    draw: RandomSource,
) -> list[Match]:
    """Matched queries and targets of each image: the assignment with the minimal total cost.

    All masks of an image are compared at the same `points` uniformly drawn points; the last column of `logits` is the
    no-object class. Source: Mask2Former, `HungarianMatcher`.
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
    from scipy.optimize import linear_sum_assignment  # only training needs it, and it takes half a second

    # A cost that is not finite is chosen only if there is no alternative.
    queries, chosen = linear_sum_assignment(cost.nan_to_num(nan=1e30, posinf=1e30, neginf=1e30).cpu().numpy())
    device = masks.device
    return Match(*(torch.from_numpy(one).long().to(device, non_blocking=True) for one in (queries, chosen)))


def pairwise_bce(logits: Float[Tensor, "q p"], targets: Float[Tensor, "n p"]) -> Float[Tensor, "q n"]:
    """Binary cross-entropy of every query mask with every target mask, mean over points."""
    return (F.softplus(logits).sum(1, keepdim=True) - logits @ targets.T) / logits.shape[1]


def pairwise_dice(logits: Float[Tensor, "q p"], targets: Float[Tensor, "n p"]) -> Float[Tensor, "q n"]:
    """Dice loss of every query mask with every target mask."""
    masks = logits.sigmoid()
    return 1 - (2 * masks @ targets.T + 1) / (masks.sum(1)[:, None] + targets.sum(1) + 1)


RandomSource = Callable[[tuple[int, ...]], Tensor]
"""Function from a shape to a tensor of uniform random numbers in [0, 1)."""


def random_source(generator: torch.Generator | None, device: torch.device) -> RandomSource:
    """A source of uniform random numbers on `device`.

    With None it uses PyTorch's default generator, which training seeds for each step.
    """
    place = device if generator is None else generator.device
    return lambda shape: torch.rand(shape, generator=generator, device=place).to(device)


@dataclass(frozen=True, slots=True)
class MaskTargets:
    """The classes present in one image, ascending, and one binary mask per class."""

    labels: Int[Tensor, " n"]
    masks: Float[Tensor, "n H W"]


def mask_targets(labels: Int[Tensor, "b H W"], padded_size: tuple[int, int]) -> list[MaskTargets]:
    """Target masks of each image, one per present class, padded with zeros at the right and bottom like the images."""
    height, width = labels.shape[-2:]
    padding = (0, padded_size[1] - width, 0, padded_size[0] - height)
    found = []
    for image in labels:
        present = image[image != IGNORE].unique()
        masks = (image == present[:, None, None]).float()
        found.append(MaskTargets(present.long(), F.pad(masks, padding)))
    return found


def sample(maps: Float[Tensor, "n c H W"], points: Float[Tensor, "n p 2"]) -> Float[Tensor, "n c p"]:
    """Values of maps at points (x, y) in [0, 1] x [0, 1], bilinearly interpolated; zero outside of the maps."""
    return F.grid_sample(maps, 2 * points[:, :, None] - 1, align_corners=False).squeeze(3)


@dataclass(frozen=True, slots=True)
class PointSampling:
    """Sampling of points at which mask losses are computed; the defaults are Mask2Former's.

    A share `importance` of the `points` are the most uncertain ones (mask logit nearest to zero) of `points` *
    `oversample` uniform points; the rest is drawn uniformly. Source: PointRend (Kirillov et al., CVPR 2020).
    """

    points: int = 12_544
    oversample: float = 3.0
    importance: float = 0.75

    @torch.no_grad()
    def choose(self, masks: Float[Tensor, "n H W"], draw: RandomSource) -> Float[Tensor, "n p 2"]:
        """Sampled points for masks given as logits."""
        count, near = len(masks), int(self.importance * self.points)
        points = draw((count, int(self.points * self.oversample), 2))
        distance = sample(masks[:, None], points)[:, 0].abs()
        nearest = distance.topk(near, dim=1, largest=False, sorted=False).indices
        chosen = points.gather(1, nearest[..., None].expand(-1, -1, 2))
        rest = self.points - near
        return torch.cat([chosen, draw((count, rest, 2))], 1) if rest else chosen


def number_of_masks(targets: Sequence[MaskTargets], everywhere: float | None) -> float:
    """Number of target masks in the batch, at least 1; `everywhere` is its mean over processes (None: there is one)."""
    return max(1.0, float(sum(len(target.labels) for target in targets)) if everywhere is None else everywhere)
