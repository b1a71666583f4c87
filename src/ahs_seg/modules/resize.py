"""Resizing of images and label maps."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def resize(images: Float[Tensor, "b 3 H W"], side: int) -> Float[Tensor, "b 3 side side"]:
    """Images resized to side x side pixels, bilinear without antialiasing as in CAT-Seg."""
    if images.shape[-2:] == torch.Size((side, side)):
        return images
    return F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)


def shortest_edge_size(size: tuple[int, int], shortest: int, longest: int) -> tuple[int, int]:
    """Height and width resized to the shortest edge `shortest`, or smaller so that no edge exceeds `longest`.

    Sides are rounded by `int(side + 0.5)`, as in detectron2's `ResizeShortestEdge`.
    """
    scale = shortest / min(size)
    sides = [shortest if side == min(size) else side * scale for side in size]
    shrink = min(1, longest / max(sides))
    height, width = (max(1, int(side * shrink + 0.5)) for side in sides)
    return height, width


LONGEST: Final = 4
"""Longest side of an image, relative to its shorter one, that is resized in proportion."""


def resize_in_proportion(
    images: Float[Tensor, "b 3 H W"], side: int, *, multiple: int
) -> Float[Tensor, "b 3 height width"]:
    """Images resized so that the shorter side is `side` and both are multiples of `multiple`.

    Bilinear without antialiasing. A side longer than `LONGEST` times `side` is reduced to that, and the other with it.
    """
    wanted = shortest_edge_size((images.shape[-2], images.shape[-1]), side, LONGEST * side)
    size = tuple(max(1, round(length / multiple)) * multiple for length in wanted)
    if images.shape[-2:] == torch.Size(size):
        return images
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False)


def nearest_labels(labels: Int[Tensor, "b H W"], size: tuple[int, int]) -> Int[Tensor, "b h w"]:
    """Label maps resized to `size` by nearest neighbour: each cell takes the label at its upper left corner."""
    rows, columns = (
        torch.arange(count, device=labels.device) * length // count
        for count, length in zip(size, labels.shape[-2:], strict=True)
    )
    return labels[:, rows][:, :, columns]
