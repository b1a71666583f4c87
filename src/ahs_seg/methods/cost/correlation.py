"""The cost volume: cosine similarities of all patches and all classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ahs_seg.modules.full_precision import full_precision, widened

_CLASSES_AT_ONCE = 1024


def cosine_cost(
    dense: Float[Tensor, "b d h w"],
    text: Float[Tensor, "#b t p d"] | Float[Tensor, "t p d"],
) -> Float[Tensor, "b p t h w"]:
    """Cosine similarity of every patch with every prompt of every class, in [-1, 1].

    `text` may have a leading axis: `b` if each image has its own classes, 1 if all images share them. Computed in
    float32 under autocast, too: the classes of a patch often differ by less than the last digit of a shorter type.
    """
    with full_precision(dense.device):
        patches, words = F.normalize(widened(dense), dim=1), F.normalize(widened(text), dim=-1)
        per_image = "btpd" if words.ndim == 4 else "tpd"
        return torch.einsum(f"bdhw,{per_image}->bpthw", patches, words)


def most_similar_classes(
    dense: Float[Tensor, "b d h w"], text: Float[Tensor, "t p d"], count: int
) -> Int[Tensor, "b k"]:
    """Indices of the `count` classes of each image with the highest cost at any patch and prompt, ascending.

    Source: CAT-Seg, cost aggregation with more classes than the padding length.
    """
    best = [cosine_cost(dense, part).amax((1, 3, 4)) for part in text.split(_CLASSES_AT_ONCE)]
    return torch.cat(best, 1).topk(count, dim=1).indices.sort(1).values
