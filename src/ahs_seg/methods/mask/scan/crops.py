"""Pictures of single proposals: the part of the image that a mask covers, all else in CLIP's mean colour."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Regions:
    """Pictures of n masks, each in the units of CLIP and zero outside of its mask.

    `masks` say which pixels belong to the mask, `boxes` (left, top, right, bottom; the last two exclusive) where the
    picture was cut out.
    """

    pixels: Float[Tensor, "n 3 s s"]
    masks: Bool[Tensor, "n s s"]
    boxes: Int[Tensor, "n 4"]

    def foreground(self, patch: int) -> Bool[Tensor, "n l"]:
        """The patches, row by row, of which at least one pixel belongs to the mask."""
        return F.max_pool2d(self.masks.float().unsqueeze(1), patch).flatten(1) > 0


def cut_regions(
    image: Float[Tensor, "3 H W"],
    masks: Bool[Tensor, "n H W"],
    side: int,
    *,
    boxes: Int[Tensor, "n 4"] | None = None,
) -> Regions:
    """The pictures of masks of one image (in the units of CLIP); no mask may be empty.

    Each box, by default the tight one, is stretched to a square: the picture bicubic without antialiasing, its mask to
    the nearest pixel. Source: SCAN (Liu et al., CVPR 2024), after OVSeg (Liang et al., CVPR 2023).
    """
    boxes = bounding_boxes(masks) if boxes is None else boxes
    pictures, covers = [], []
    for mask, (left, top, right, bottom) in zip(masks, boxes.tolist(), strict=True):
        cover = mask[top:bottom, left:right]
        part = image[:, top:bottom, left:right] * cover
        pictures.append(F.interpolate(part[None], size=(side, side), mode="bicubic", align_corners=False))
        covers.append(F.interpolate(cover[None, None].float(), size=(side, side), mode="nearest") > 0)
    if not pictures:
        return Regions(image.new_zeros(0, 3, side, side), masks.new_zeros(0, side, side), boxes)
    return Regions(torch.cat(pictures), torch.cat(covers)[:, 0], boxes)


def bounding_boxes(masks: Bool[Tensor, "n H W"]) -> Int[Tensor, "n 4"]:
    """Left, top, right and bottom (the last two exclusive) of masks that are not empty."""
    ends = []
    for axis in (1, 2):
        line = masks.any(axis).int()
        ends.append((line.argmax(1), line.shape[1] - line.flip(1).argmax(1)))
    (left, right), (top, bottom) = ends
    return torch.stack([left, top, right, bottom], 1)


def shrunk(boxes: Int[Tensor, "n 4"], least: float) -> Int[Tensor, "n 4"]:
    """Boxes within these at random places, whose area is a random share, at least `least`, of theirs."""
    count, device = len(boxes), boxes.device
    share = (least + (1 - least) * torch.rand(count, 1, device=device)).sqrt()
    full = boxes[:, 2:] - boxes[:, :2]
    size = (full * share).round().long().clamp(min=1)
    corner = boxes[:, :2] + ((full - size + 1) * torch.rand(count, 2, device=device)).long()
    return torch.cat([corner, corner + size], 1)
