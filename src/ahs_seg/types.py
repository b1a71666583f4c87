"""The tensors that travel between the parts of the library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

IGNORE: Final = -1
"""Label of a pixel without a class. In files it is 255, 65535 or 0; in memory it is always this value."""

ImageKind = Literal["photographs", "drawn scenes"]
"""What the images of a dataset are."""


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """Features of a batch of images from a backbone; they do not depend on the classes.

    `dense` are the patch features in the joint image-text space, not normalised. `levels` are the requested hidden
    states of the vision tower, in the requested order and in the width of the tower. `pooled` is the whole-image
    embedding (joint space, not normalised), None unless it was requested.
    """

    dense: Float[Tensor, "b d h w"]
    levels: tuple[Float[Tensor, "b c h w"], ...] = ()
    pooled: Float[Tensor, "b d"] | None = None


@dataclass(frozen=True, slots=True)
class ClassText:
    """Text embeddings in the form that a method uses; `Method.prepare` computes them once per vocabulary.

    A text row is one class name or one of its synonyms; it has p prompts. `embeddings` are compared with the patch
    features, `guidance` are the text embeddings that guide the class attention (cost family only). `seen` is True for
    rows whose class occurred in training (None: not known); `seen_share` in [0, 1] is a gradual form of it.
    `complexity` in (0, 1) is the share of the class in the projection of the patch features, if that depends on the
    class (AHS-Seg).
    """

    embeddings: Float[Tensor, "t p d"]
    guidance: Float[Tensor, "t p d"]
    seen: Bool[Tensor, " t"] | None = None
    complexity: Float[Tensor, "t p"] | None = None
    seen_share: Float[Tensor, " t"] | None = None

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def device(self) -> torch.device:
        """The device of the embeddings."""
        return self.embeddings.device


Words = Float[Tensor, "t p d"] | ClassText
"""Text input of a method: text embeddings of its backbone, or the result of `Method.prepare`."""


@dataclass(frozen=True, slots=True)
class MaskProposals:
    """Mask proposals, and for each of them one score in [0, 1] per text row.

    `masks` are mask logits on a grid over the padded image of `padded_size` pixels (height, width); the image is its
    top left part of `size` pixels, the rest is padding. The score of a text row at a pixel is the sum of its scores
    over the proposals, weighted by the sigmoids of their mask logits at that pixel, divided by the sum of the weights
    where that is above 1 (`inference.mask_scores`). `resized` names the tensor that is resized from `size` to the size
    of the original image: the logits (EBSeg), or their sigmoids (SCAN).
    """

    masks: Float[Tensor, "b q h w"]
    classes: Float[Tensor, "b q t"]
    padded_size: tuple[int, int]
    size: tuple[int, int]
    resized: Literal["logits", "sigmoids"] = "logits"


@dataclass(frozen=True, slots=True)
class Output:
    """Result of the forward of every method, in training and at inference.

    `logits` have the method's own resolution. When a method keeps only some classes of a large vocabulary, `kept_rows`
    holds the text row of each channel (per image); all other rows have the logit `PRUNED_LOGIT`.
    `features` are the backbone's, `compared` is the dense map that was compared with `text.embeddings`, `aligned` is
    that map in the joint space, before the method's own projection (None: the method has no such step). A method of
    the mask family returns `proposals` as well; its `logits` are then low-resolution ones on the grid of `compared`,
    and inference computes the exact ones at the size of the original image, a few text rows at a time.
    """

    logits: Float[Tensor, "b k h w"]
    features: ImageFeatures
    text: ClassText
    compared: Float[Tensor, "b d h2 w2"]
    kept_rows: Int[Tensor, "b k"] | None = None
    proposals: MaskProposals | None = None
    aligned: Float[Tensor, "b d2 h2 w2"] | None = None


PRUNED_LOGIT: Final = -100.0
"""Logit of a class that was pruned from a large vocabulary (CAT-Seg, section "cost aggregation", step 2)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Images (RGB in [0, 1]) with label maps; a label is an index into the class names, or `IGNORE`."""

    images: Float[Tensor, "b 3 H W"]
    labels: Int[Tensor, "b H W"]


@dataclass(frozen=True, slots=True)
class TrainingForward:
    """Inputs and output of one forward pass in training, from which objectives compute their losses.

    A training step may use a subset of the training vocabulary. `output` has one channel per class of this subset and
    `labels` index it. `classes` are the indices of the subset in the training vocabulary (ascending), `row_class` is
    the class (index into the subset) of each text row. `progress` is the completed share of the training, in [0, 1).
    `compute_dtype` is the type of the matrix products of the forward pass (autocast); objectives run in float32.
    `masks` is the number of ground-truth masks (one for each class that an image shows) of a batch, averaged over the
    processes of a run (None: there is one process). An objective exchanges nothing with other processes; its `update`,
    which follows the step, may.
    """

    images: Float[Tensor, "b 3 H W"]
    labels: Int[Tensor, "b H W"]
    classes: Int[Tensor, " k"]
    row_class: Int[Tensor, " t"]
    output: Output
    progress: float
    compute_dtype: torch.dtype = torch.float32
    masks: float | None = None
