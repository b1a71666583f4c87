"""Training augmentation: random resize, crop, colour jitter, horizontal flip and padding, with the defaults of CAT-Seg.

All randomness comes from the generator passed in, so that a sample is a function of (seed, step, position).
"""

from __future__ import annotations

from typing import Annotated, Final

import numpy as np
from jaxtyping import Int32
from PIL import Image
from pydantic import Field

from ahs_seg.config import Config, Side
from ahs_seg.data.base import Sample
from ahs_seg.data.color_jitter import ColourJitter, Probability
from ahs_seg.modules.resize import shortest_edge_size
from ahs_seg.types import IGNORE

Share = Annotated[float, Field(gt=0, le=1)]

PAD_VALUE: Final = 128
_CROP_ATTEMPTS: Final = 10


class Resize(Config):
    """Random resize of the shortest side to one of `sizes` (uniform), with the longest side at most `longest`."""

    sizes: Annotated[tuple[Side, ...], Field(min_length=1)] = (384,)
    longest: Side = 1333

    def apply(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Resized sample: antialiased bilinear for the image (Pillow), the pixel at floor(i * old / new) for labels."""
        size = self.sizes[rng.integers(len(self.sizes))]
        height, width = shortest_edge_size(sample.labels.shape, size, self.longest)
        image = Image.fromarray(sample.image).resize((width, height), Image.Resampling.BILINEAR)
        return Sample(np.array(image), resize_labels(sample.labels, height, width), sample.name)


class Crop(Config):
    """Random crop at a uniform position; a side smaller than the crop is kept whole and padded after augmentation.

    With `largest_share` below 1, crops in which one class covers more than that share of the labelled pixels are drawn
    again, at most ten times (detectron2's category-area constraint).
    """

    height: Side = 384
    width: Side = 384
    largest_share: Share = 1.0

    def apply(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Sample cropped at a random position."""
        full_height, full_width = sample.labels.shape
        height, width = min(self.height, full_height), min(self.width, full_width)
        for _ in range(_CROP_ATTEMPTS):
            top, left = rng.integers(full_height - height + 1), rng.integers(full_width - width + 1)
            part = np.s_[top : top + height, left : left + width]
            if self._varied(sample.labels[part]):
                break
        return Sample(sample.image[part], sample.labels[part], sample.name)

    def pad(self, sample: Sample) -> Sample:
        """Sample padded to the crop size at the right and bottom: grey in the image, `IGNORE` in the labels."""
        height, width = sample.labels.shape
        below, right = max(self.height - height, 0), max(self.width - width, 0)
        if not below and not right:
            return sample
        image = np.pad(sample.image, ((0, below), (0, right), (0, 0)), constant_values=PAD_VALUE)
        labels = np.pad(sample.labels, ((0, below), (0, right)), constant_values=IGNORE)
        return Sample(image, labels, sample.name)

    def _varied(self, labels: Int32[np.ndarray, "h w"]) -> bool:
        if self.largest_share == 1:
            return True
        _, counts = np.unique(labels[labels != IGNORE], return_counts=True)
        return len(counts) > 1 and bool(counts.max() < counts.sum() * self.largest_share)


class Augmentation(Config):
    """Augmentation pipeline with the defaults of CAT-Seg; every step can be switched off with `null`.

    Source: CAT-Seg (Cho et al., CVPR 2024), the training loader of the official code.
    """

    resize: Resize | None = Resize()
    crop: Crop | None = Crop()
    colour: ColourJitter | None = ColourJitter()
    flip: Probability = 0.5

    def apply(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Augmented copy of the sample; the input is not modified."""
        if self.resize is not None:
            sample = self.resize.apply(sample, rng)
        if self.crop is not None:
            sample = self.crop.apply(sample, rng)
        image, labels = sample.image, sample.labels
        if self.colour is not None:
            image = self.colour.apply(image, rng)
        if rng.random() < self.flip:
            image, labels = image[:, ::-1], labels[:, ::-1]
        changed = Sample(image, labels, sample.name)
        return changed if self.crop is None else self.crop.pad(changed)


def resize_labels(labels: Int32[np.ndarray, "h w"], height: int, width: int) -> Int32[np.ndarray, "H W"]:
    """Label map resized by nearest neighbour at floor(i * old / new), as PyTorch's "nearest" (no half-pixel offset)."""
    rows = np.arange(height) * labels.shape[0] // height
    columns = np.arange(width) * labels.shape[1] // width
    result: np.ndarray = labels[rows[:, None], columns]
    return result
