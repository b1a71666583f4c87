"""The tensors that travel between the parts of the library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jaxtyping import Float, Int
from torch import Tensor

IGNORE: Final = -1
"""Label of a pixel that no class owns. Files spell it 255, 65535 or 0; in memory it is always this."""


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """What a backbone knows about a batch of images; computed once per image, whatever the classes.

    `dense` lives in the joint image-text space and is not normalised. `levels` are the hidden states that were
    asked for, in that order, in the width of the vision tower. `pooled` is the whole-image embedding (joint space, not
    normalised), present only if it was asked for.
    """

    dense: Float[Tensor, "b d h w"]
    levels: tuple[Float[Tensor, "b c h w"], ...] = ()
    pooled: Float[Tensor, "b d"] | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What every method returns, in training and at inference.

    `logits` stand at the method's own resolution. When a method keeps only some classes of a large vocabulary, `kept`
    holds the row of the vocabulary that each channel belongs to (per image); classes not kept have the logit `REST`.
    """

    logits: Float[Tensor, "b k h w"]
    features: ImageFeatures
    text: Float[Tensor, "t p d"]
    kept: Int[Tensor, "b k"] | None = None


REST: Final = -100.0
"""Logit of a class that was not kept (CAT-Seg, section "cost aggregation", step 2)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Images (RGB in [0, 1]) with labels; label values index the class names, `IGNORE` elsewhere."""

    images: Float[Tensor, "b 3 H W"]
    labels: Int[Tensor, "b H W"]
