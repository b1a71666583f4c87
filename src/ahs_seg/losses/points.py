"""Masks at points: targets from label maps, sampling, and the points worth looking at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ahs_seg.types import IGNORE

Draw = Callable[[tuple[int, ...]], Tensor]
"""Uniform random numbers in [0, 1) of a shape."""


def drawing(generator: torch.Generator | None, device: torch.device) -> Draw:
    """Numbers of this generator, on this device (None: those of PyTorch's own, which training seeds for each step)."""
    place = device if generator is None else generator.device
    return lambda shape: torch.rand(shape, generator=generator, device=place).to(device)


@dataclass(frozen=True, slots=True)
class MaskTargets:
    """The classes present in one image, ascending, and where they are."""

    labels: Int[Tensor, " n"]
    masks: Float[Tensor, "n H W"]


def mask_targets(labels: Int[Tensor, "b H W"], frame: tuple[int, int]) -> list[MaskTargets]:
    """One mask per class present; `frame` pads them with zeros to the right and below, as the images were padded."""
    height, width = labels.shape[-2:]
    padding = (0, frame[1] - width, 0, frame[0] - height)
    found = []
    for image in labels:
        present = image[image != IGNORE].unique()
        masks = (image == present[:, None, None]).float()
        found.append(MaskTargets(present.long(), F.pad(masks, padding)))
    return found


def sample(maps: Float[Tensor, "n c H W"], points: Float[Tensor, "n p 2"]) -> Float[Tensor, "n c p"]:
    """Bilinear values at points (x, y) in [0, 1] x [0, 1], zero outside of the maps."""
    return F.grid_sample(maps, 2 * points[:, :, None] - 1, align_corners=False).squeeze(3)


@dataclass(frozen=True, slots=True)
class PointSampling:
    """How many points stand for a mask, and how they are chosen.

    Of `points` * `oversample` uniform points those nearest to the mask's border make up the share `importance`, fresh
    uniform ones the rest. Source: PointRend (Kirillov et al., CVPR 2020), numbers of Mask2Former.
    """

    points: int = 12_544
    oversample: float = 3.0
    importance: float = 0.75

    @torch.no_grad()
    def choose(self, masks: Float[Tensor, "n H W"], draw: Draw) -> Float[Tensor, "n p 2"]:
        """Points for masks given as logits."""
        count, near = len(masks), int(self.importance * self.points)
        points = draw((count, int(self.points * self.oversample), 2))
        distance = sample(masks[:, None], points)[:, 0].abs()
        nearest = distance.topk(near, dim=1, largest=False, sorted=False).indices
        chosen = points.gather(1, nearest[..., None].expand(-1, -1, 2))
        rest = self.points - near
        return torch.cat([chosen, draw((count, rest, 2))], 1) if rest else chosen


def number_of_masks(targets: Sequence[MaskTargets]) -> float:
    """Targets of the whole batch, averaged over processes, at least 1."""
    count = torch.tensor(float(sum(len(target.labels) for target in targets)))
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        count = count.to(targets[0].masks.device)
        torch.distributed.all_reduce(count)
        count = count / torch.distributed.get_world_size()
    return max(1.0, float(count))
