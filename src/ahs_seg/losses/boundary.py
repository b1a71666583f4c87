"""The boundary loss of MH-FPN: the edges of each class are where its labels have them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ahs_seg.losses.labels import nearest_labels
from ahs_seg.types import IGNORE

HALF_WEIGHT = 0.5
_LEAST = 1e-6
_SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


def boundary_loss(logits: Float[Tensor, "b t h w"], labels: Int[Tensor, "b H W"]) -> Float[Tensor, ""]:
    """Cross-entropy of the edge strength of each class against that of its mask, at full and at half resolution.

    Labels are taken at the resolution of the logits. Of each image the classes that are present count, at positions
    none of whose eight neighbours is without a label; the loss is a mean over all of these. At half resolution
    probabilities and masks are 2x2 means, and a position has a label if all four have. No class present: 0.

    Source: AHS-Seg, boundary-aware loss. The published code takes gradients of class numbers, so that an edge between
    classes 3 and 120 counts sixty times one between 3 and 5, compares them with the maps of all classes, and divides
    by the strongest edge, which is that to ignored pixels. Its value is recorded in the parity tests.
    """
    small = nearest_labels(labels, (logits.shape[-2], logits.shape[-1]))
    valid = small != IGNORE
    present = F.one_hot(small.clamp(min=0), logits.shape[1]).mul(valid.unsqueeze(-1)).any(2).any(1)
    image, row = present.nonzero(as_tuple=True)
    if not len(image):
        return logits.sum() * 0
    probability = logits[image, row].sigmoid()
    mask = (small[image] == row.view(-1, 1, 1)).to(probability.dtype)
    full = _scale_loss(probability, mask, valid[image])
    complete = _halved(valid.to(mask.dtype)) == 1
    half = _scale_loss(_halved(probability), _halved(mask), complete[image])
    return (full + HALF_WEIGHT * half) / (1 + HALF_WEIGHT)


def edges(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Edge strength of maps with values in [0, 1]: the Sobel gradient over 4, at most 1, which a full step gives."""
    kernel = torch.tensor(_SOBEL, device=maps.device, dtype=maps.dtype)
    kernels = torch.stack([kernel, kernel.T]).unsqueeze(1)
    gradient = F.conv2d(F.pad(maps.unsqueeze(1), (1, 1, 1, 1), mode="replicate"), kernels)
    return ((gradient.square().sum(1) + 1e-12).sqrt() / 4).clamp(max=1)


def _halved(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h2 w2"]:
    return F.avg_pool2d(maps.unsqueeze(1), 2).squeeze(1)


def _scale_loss(
    probability: Float[Tensor, "n h w"], mask: Float[Tensor, "n h w"], valid: Bool[Tensor, "n h w"]
) -> Float[Tensor, ""]:
    inside = F.max_pool2d((~valid).to(mask.dtype).unsqueeze(1), 3, stride=1, padding=1).squeeze(1) == 0
    if not inside.any():
        return probability.sum() * 0
    strength = edges(probability).clamp(_LEAST, 1 - _LEAST)
    return F.binary_cross_entropy(strength[inside], edges(mask)[inside])
