"""Images and labels at other sizes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def resize(images: Float[Tensor, "b 3 H W"], side: int) -> Float[Tensor, "b 3 side side"]:
    """Images at side x side pixels, bilinear without antialiasing as in CAT-Seg."""
    if images.shape[-2:] == torch.Size((side, side)):
        return images
    return F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)


def nearest_labels(labels: Int[Tensor, "b H W"], size: tuple[int, int]) -> Int[Tensor, "b h w"]:
    """The label at the upper left of each cell of a grid of `size`, as nearest-neighbour resizing takes it."""
    rows, columns = (
        torch.arange(count, device=labels.device) * length // count
        for count, length in zip(size, labels.shape[-2:], strict=True)
    )
    return labels[:, rows][:, :, columns]
