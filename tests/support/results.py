"""Segmentations to write, small enough to reason about."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ahs_seg.output.formats import ExportItem
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary

WORDS = Vocabulary.parse(["straße", "a <b> & 'c'", "sky"])


def made(labels: object, words: Vocabulary = WORDS) -> Segmentation:
    """A result with these labels (a nested list or an array) on a grey ramp."""
    values = np.array(labels, np.int32)
    height, width = values.shape
    ramp = np.arange(height * width, dtype=np.uint32).reshape(height, width) * 255 // max(1, height * width - 1)
    image = np.repeat(ramp.astype(np.uint8)[..., None], 3, -1)
    return Segmentation(image, values, np.full(values.shape, 0.75, np.float32), words)


def blobs(seed: int, *, size: tuple[int, int] = (23, 31), classes: int = 3, unknown: bool = False) -> np.ndarray:
    """Label maps with islands, holes and pixels that touch at corners only."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, classes, (size[0] // 3 + 1, size[1] // 4 + 1))
    labels = coarse.repeat(3, 0).repeat(4, 1)[: size[0], : size[1]].astype(np.int32)
    noise = rng.random(size) < 0.1
    labels[noise] = rng.integers(0, classes, int(noise.sum()))
    if unknown:
        labels[rng.random(size) < 0.05] = IGNORE
    return labels


def item(name: str, labels: object, words: Vocabulary = WORDS, source: Path | None = None) -> ExportItem:
    """One picture of a run."""
    return ExportItem(Path(name), made(labels, words), source)
