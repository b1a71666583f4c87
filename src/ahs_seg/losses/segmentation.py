"""The segmentation loss of the cost family."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ahs_seg.types import IGNORE

BUDGET = 256 * 2**20
"""Bytes that the logits of some classes may take at the size of the labels."""


def segmentation_loss(
    logits: Float[Tensor, "b t h w"],
    labels: Int[Tensor, "b H W"],
    *,
    ignore_as_negative: bool = True,
    budget: int = BUDGET,
) -> Float[Tensor, ""]:
    """Binary cross-entropy of every class at every pixel, logits resized (bilinear) to the labels; a mean.

    `ignore_as_negative` is CAT-Seg's own behaviour: pixels without a label count as "no class". Without it they are
    left out and the mean runs over the others. As many classes as `budget` bytes allow are resized at a time, and again
    in the backward pass, so that memory does not grow with classes times pixels.
    """
    classes = logits.shape[1]
    size = max(1, budget // (4 * labels.numel()))
    if size >= classes or not torch.is_grad_enabled():
        parts = [_chunk_loss(part, labels, size * index) for index, part in enumerate(logits.split(size, 1))]
    else:
        parts = [
            checkpoint(_chunk_loss, part, labels, size * index, use_reentrant=False)
            for index, part in enumerate(logits.split(size, 1))
        ]
    per_pixel = torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]
    if ignore_as_negative:
        return per_pixel.mean() / classes
    valid = labels != IGNORE
    return (per_pixel * valid).sum() / (valid.sum().clamp(min=1) * classes)


def _chunk_loss(logits: Float[Tensor, "b c h w"], labels: Int[Tensor, "b H W"], first: int) -> Float[Tensor, "b H W"]:
    """Sum over some classes. The target is one-hot and BCE(z, y) = softplus(z) - y z, so y z is one gathered value."""
    resized = F.interpolate(logits.float(), size=labels.shape[-2:], mode="bilinear", align_corners=False)
    rows = labels - first
    inside = (rows >= 0) & (rows < logits.shape[1]) & (labels != IGNORE)
    positive = resized.gather(1, torch.where(inside, rows, 0).unsqueeze(1)).squeeze(1)
    return F.softplus(resized).sum(1) - positive * inside
