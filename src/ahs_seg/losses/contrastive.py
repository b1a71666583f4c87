"""The contrastive loss of DC-HSP: the mean of a class's patches is nearest to its own words."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ahs_seg.losses.labels import nearest_labels
from ahs_seg.types import IGNORE


def contrastive_loss(
    features: Float[Tensor, "b d h w"],
    labels: Int[Tensor, "b H W"],
    text: Float[Tensor, "t d"],
    *,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    """Cross-entropy of class means of the features among the words of the classes present in the batch.

    Labels are taken at the grid of the features; cells without a label are left out. With fewer than two classes it
    is 0.

    Source: AHS-Seg, class-aware contrastive loss. The published code compares features of 24x24 cells with labels of
    384x384 pixels, which fails, and takes ignored pixels for class 0.
    """
    small = nearest_labels(labels, (features.shape[-2], features.shape[-1])).flatten()
    valid = small != IGNORE
    present, place = small[valid].unique(return_inverse=True)
    if len(present) < 2:
        return (features.sum() + text.sum()) * 0
    patches = F.normalize(features, dim=1).permute(0, 2, 3, 1).flatten(0, 2)[valid]
    sums = patches.new_zeros(len(present), patches.shape[1]).index_add(0, place, patches)
    means = F.normalize(sums, dim=-1)  # a sum has the direction of its mean
    logits = means @ F.normalize(text[present], dim=-1).T / temperature
    return F.cross_entropy(logits, torch.arange(len(present), device=logits.device))
