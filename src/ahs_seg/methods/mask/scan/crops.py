"""Masked crops: the bounding box of a mask cut out of the image, with CLIP's mean colour outside of the mask."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Regions:
    """Crops of n masks, normalised for CLIP and zero outside of the mask.

    `masks` are the masks resized like the crops, `boxes` the cropped boxes in the image (left, top, right, bottom; the
    last two exclusive).
    """

    pixels: Float[Tensor, "n 3 s s"]
    masks: Bool[Tensor, "n s s"]
    boxes: Int[Tensor, "n 4"]

    def foreground(self, patch: int) -> Bool[Tensor, "n l"]:
        """True for patches (in row-major order) with at least one pixel inside the mask."""
        return F.max_pool2d(self.masks.float().unsqueeze(1), patch).flatten(1) > 0


def cut_regions(
    image: Float[Tensor, "3 H W"],
    masks: Bool[Tensor, "n H W"],
    side: int,
    *,
    boxes: Int[Tensor, "n 4"] | None = None,
) -> Regions:
    """Masked crops of one image (normalised for CLIP); no mask may be empty.

    Each box, by default the bounding box, is resized to a square of `side` pixels without keeping the aspect ratio: the
    crop bicubic without antialiasing, its mask by nearest neighbour. Source: SCAN (Liu et al., CVPR 2024), following
    OVSeg (Liang et al., CVPR 2023).
    """
    boxes = bounding_boxes(masks) if boxes is None else boxes
    crops, covers = [], []
    for mask, (left, top, right, bottom) in zip(masks, boxes.tolist(), strict=True):
        cover = mask[top:bottom, left:right]
        part = image[:, top:bottom, left:right] * cover
        crops.append(F.interpolate(part[None], size=(side, side), mode="bicubic", align_corners=False))
        covers.append(F.interpolate(cover[None, None].float(), size=(side, side), mode="nearest") > 0)
    if not crops:
        return Regions(image.new_zeros(0, 3, side, side), masks.new_zeros(0, side, side), boxes)
    return Regions(torch.cat(crops), torch.cat(covers)[:, 0], boxes)


def bounding_boxes(masks: Bool[Tensor, "n H W"]) -> Int[Tensor, "n 4"]:
    """Bounding boxes (left, top, right, bottom; the last two exclusive) of non-empty masks."""
    ends = []
    for axis in (1, 2):
        line = masks.any(axis).int()
        ends.append((line.argmax(1), line.shape[1] - line.flip(1).argmax(1)))
    (left, right), (top, bottom) = ends
    return torch.stack([left, top, right, bottom], 1)


def random_sub_boxes(boxes: Int[Tensor, "n 4"], min_area: float) -> Int[Tensor, "n 4"]:
    """Random boxes inside the given ones, with a random share of their area that is at least `min_area`."""
    count, device = len(boxes), boxes.device
    share = (min_area + (1 - min_area) * torch.rand(count, 1, device=device)).sqrt()
    full = boxes[:, 2:] - boxes[:, :2]
    size = (full * share).round().long().clamp(min=1)
    corner = boxes[:, :2] + ((full - size + 1) * torch.rand(count, 2, device=device)).long()
    return torch.cat([corner, corner + size], 1)
