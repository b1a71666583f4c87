"""The segmentation loss of the cost family."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ahs_seg.types import IGNORE


def segmentation_loss(
    logits: Float[Tensor, "b t h w"], labels: Int[Tensor, "b H W"], *, ignore_as_negative: bool = True
) -> Float[Tensor, ""]:
    """Binary cross-entropy of every class at every pixel, logits resized (bilinear) to the labels; a mean.

    `ignore_as_negative` is CAT-Seg's own behaviour: pixels without a label count as "no class". Without it they are
    left out and the mean runs over the others.
    """
    resized = F.interpolate(logits.float(), size=labels.shape[-2:], mode="bilinear", align_corners=False)
    valid = labels != IGNORE
    rows = labels.clamp(min=0).unsqueeze(1)
    # The target is one-hot. Instead of building it: BCE(z, y) = softplus(z) - y z, and y z is one gathered value.
    negative = F.softplus(resized).sum(1)
    positive = resized.gather(1, rows).squeeze(1) * valid
    per_pixel = negative - positive
    if ignore_as_negative:
        return per_pixel.mean() / logits.shape[1]
    per_pixel = per_pixel * valid
    return per_pixel.sum() / (valid.sum().clamp(min=1) * logits.shape[1])


def check_labels(labels: Int[Tensor, "b H W"], classes: int) -> None:
    """Raise unless every label is `IGNORE` or indexes one of `classes` names."""
    wrong = labels[(labels != IGNORE) & ((labels < 0) | (labels >= classes))]
    if len(wrong):
        raise ValueError(
            f"a label is {int(wrong[0])}, but there are {classes} class names (0 to {classes - 1}, or {IGNORE} to "
            f"ignore). Check classes.txt and the ignore value."
        )


__all__ = ["check_labels", "segmentation_loss"]
