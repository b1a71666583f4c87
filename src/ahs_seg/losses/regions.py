"""The loss of CLIP for regions and names, of which several regions may have the same."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def region_contrast(
    regions: Float[Tensor, "n d"], names: Float[Tensor, "n d"], classes: Int[Tensor, " n"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Mean cross-entropy of regions against names and of names against regions, all unit vectors.

    All pairs of the same class are right answers, in equal shares; with different classes this is the loss of CLIP
    (Radford et al., 2021), as in OVSeg (Liang et al., CVPR 2023). No region gives zero.
    """
    if not len(regions):
        return (regions.sum() + scale) * 0
    logits = scale * regions @ names.T
    same = (classes[:, None] == classes).to(logits.dtype)
    targets = same / same.sum(1, keepdim=True)
    return torch.stack([F.cross_entropy(logits, targets), F.cross_entropy(logits.T, targets)]).mean()
