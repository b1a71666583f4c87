"""The tensors that travel between the parts of the library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import torch
from jaxtyping import Bool, Float, Int
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
class ClassText:
    """The words of a call as a method reads them; a method prepares them once per vocabulary (`prepare`).

    `embeddings` are what the image is compared with, `guidance` is what else the method reads of the words. `seen`
    marks the rows whose class training has seen (None: not known).
    """

    embeddings: Float[Tensor, "t p d"]
    guidance: Float[Tensor, "t p d"]
    seen: Bool[Tensor, " t"] | None = None

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def device(self) -> torch.device:
        """Where the embeddings lie."""
        return self.embeddings.device


Words = Float[Tensor, "t p d"] | ClassText
"""What a method takes as words: the embeddings of a backbone, or what the method prepared of them."""


@dataclass(frozen=True, slots=True)
class MaskProposals:
    """Masks, and for each of them the scores of all rows of the text, in [0, 1].

    `masks` are logits on a grid that spans `frame` pixels (height, width); the image is its top left part of `size`
    pixels, the rest is padding. The score of a row at a pixel is the mean of its scores over the masks, weighted by
    their sigmoids there (`proposals.MaskView`). `resized` says what is brought from the image to the size of the
    picture: the logits (EBSeg), or their sigmoids (SCAN).
    """

    masks: Float[Tensor, "b q h w"]
    classes: Float[Tensor, "b q t"]
    frame: tuple[int, int]
    size: tuple[int, int]
    resized: Literal["logits", "sigmoids"] = "logits"


@dataclass(frozen=True, slots=True)
class Output:
    """What every method returns, in training and at inference.

    `logits` stand at the method's own resolution. When a method keeps only some classes of a large vocabulary, `kept`
    holds the row of the vocabulary that each channel belongs to (per image); the others have the logit `PRUNED_LOGIT`.
    `features` are the backbone's, `compared` is the dense map that was compared with `text.embeddings`, `aligned` the
    same map in the joint space, before a projection of its own (None: the method has no such step). A method of
    the mask family answers with `proposals`; its `logits` are those of the proposals seen from afar, on the grid of
    `compared`, while inference forms the exact ones at the size of the picture, a few rows at a time.
    """

    logits: Float[Tensor, "b k h w"]
    features: ImageFeatures
    text: ClassText
    compared: Float[Tensor, "b d h2 w2"]
    kept: Int[Tensor, "b k"] | None = None
    proposals: MaskProposals | None = None
    aligned: Float[Tensor, "b d2 h2 w2"] | None = None


PRUNED_LOGIT: Final = -100.0
"""Logit of a class that was not kept (CAT-Seg, section "cost aggregation", step 2)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Images (RGB in [0, 1]) with labels; label values index the class names, `IGNORE` elsewhere."""

    images: Float[Tensor, "b 3 H W"]
    labels: Int[Tensor, "b H W"]


@dataclass(frozen=True, slots=True)
class TrainingForward:
    """What one forward of training saw and gave; objectives turn it into losses.

    `output` has one channel per class of the step and `labels` index these classes. `classes` are their places in the
    training vocabulary (ascending), `row_class` gives the class of the step that each row of the text belongs to.
    `progress` is the share of the training that is over, in [0, 1).
    """

    images: Float[Tensor, "b 3 H W"]
    labels: Int[Tensor, "b H W"]
    classes: Int[Tensor, " k"]
    row_class: Int[Tensor, " t"]
    output: Output
    progress: float
