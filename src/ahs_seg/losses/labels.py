"""Labels at the resolution of features and logits."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor


def nearest_labels(labels: Int[Tensor, "b H W"], size: tuple[int, int]) -> Int[Tensor, "b h w"]:
    """The label at the upper left of each cell of a grid of `size`, as nearest-neighbour resizing takes it."""
    rows, columns = (
        torch.arange(count, device=labels.device) * length // count
        for count, length in zip(size, labels.shape[-2:], strict=True)
    )
    return labels[:, rows][:, :, columns]
