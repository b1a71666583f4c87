"""From scores to confidences: how often a pixel with such a score is right.

A score says how well a word fits a pixel, not how often it is right. On labelled pictures one can count that; a table
of it (isotonic regression, as Zadrozny and Elkan, KDD 2002) turns scores into confidences. It holds for words and
pictures like those it was counted on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float64, Int32, UInt8
from pydantic import model_validator
from scipy.optimize import isotonic_regression

from ahs_seg.config import Config
from ahs_seg.data.base import SegmentationDataset
from ahs_seg.errors import AhsSegError, SampleError
from ahs_seg.types import IGNORE

logger = logging.getLogger(__name__)

_STEPS: Final = 4096
"""Fineness to which scores are counted."""
_GROUPS: Final = 64
"""Groups of equally many pixels whose accuracy is measured."""
_BINS: Final = 15
"""Bins of the calibration error, as in Guo et al., ICML 2017."""


class CalibrationError(AhsSegError, ValueError):
    """A calibration that is missing or cannot be made; says what to do."""


class Calibration(Config):
    """The share of right pixels (`accuracies`) at some `scores`; linear between them, constant outside.

    `source` says what it was counted on. `error_before` and `error_after` are the expected calibration errors of the
    scores and of the confidences there.
    """

    scores: tuple[float, ...]
    accuracies: tuple[float, ...]
    source: str
    error_before: float | None = None
    error_after: float | None = None

    @model_validator(mode="after")
    def _check(self) -> Calibration:
        scores, accuracies = np.array(self.scores), np.array(self.accuracies)
        if not len(scores) or len(scores) != len(accuracies):
            raise ValueError(f"{len(scores)} scores and {len(accuracies)} accuracies; they must be as many, at least 1")
        if (np.diff(scores) <= 0).any() or (np.diff(accuracies) < 0).any():
            raise ValueError("scores must rise and accuracies must not fall")
        if accuracies[0] < 0 or accuracies[-1] > 1:
            raise ValueError(f"accuracies lie between {accuracies[0]:g} and {accuracies[-1]:g}; allowed is 0 to 1")
        return self

    def __call__(self, scores: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
        """The confidences of these scores."""
        return np.interp(scores, self.scores, self.accuracies).astype(np.float32)


IDENTITY_CALIBRATION: Final = Calibration(scores=(0.0, 1.0), accuracies=(0.0, 1.0), source="none: scores as they are")
"""Takes scores as confidences, for models without a calibration."""


@dataclass
class Reliability:
    """How many pixels had each score, and how many of them were right; memory does not grow with the pixels."""

    pixels: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(_STEPS))
    right: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(_STEPS))
    sums: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(_STEPS))

    def add(self, scores: Float[np.ndarray, "*s"], right: Bool[np.ndarray, "*s"]) -> None:
        """Count some pixels: the score of each, and whether its class was right."""
        values = np.asarray(scores, np.float64).ravel()
        step = np.clip((values * _STEPS).astype(np.int64), 0, _STEPS - 1)
        self.pixels += np.bincount(step, minlength=_STEPS)
        self.right += np.bincount(step, right.ravel(), minlength=_STEPS)
        self.sums += np.bincount(step, values, minlength=_STEPS)

    def error(self) -> float:
        """Expected calibration error: the mean distance between score and share of right pixels, over 15 bins."""
        return _error(self.sums, self.right, self.pixels, np.arange(_STEPS) * _BINS // _STEPS)

    def fit(self, source: str) -> Calibration:
        """The calibration of what was counted.

        Raises:
            CalibrationError: nothing was counted.
        """
        if not self.pixels.any():
            raise CalibrationError("no labelled pixel was counted; calibrate with pictures that have labels")
        before = np.cumsum(self.pixels) - self.pixels
        group = np.minimum((before * _GROUPS / self.pixels.sum()).astype(np.int64), _GROUPS - 1)
        pixels, right, sums = (np.bincount(group, values) for values in (self.pixels, self.right, self.sums))
        used = pixels > 0
        pixels, right, sums = pixels[used], right[used], sums[used]
        accuracies = np.clip(isotonic_regression(right / pixels, weights=pixels).x, 0, 1)
        scores = sums / pixels
        plain = Calibration(scores=tuple(scores.tolist()), accuracies=tuple(accuracies.tolist()), source=source)
        confidences = plain(self.sums / np.maximum(self.pixels, 1)).astype(np.float64)
        bins = np.minimum((confidences * _BINS).astype(np.int64), _BINS - 1)
        after = _error(confidences * self.pixels, self.right, self.pixels, bins)
        return plain.replace(error_before=self.error(), error_after=after)


def calibrate(
    predict: Callable[[UInt8[np.ndarray, "H W 3"]], tuple[Int32[np.ndarray, "H W"], Float[np.ndarray, "H W"]]],
    dataset: SegmentationDataset,
    *,
    images: int | None = None,
) -> Calibration:
    """The calibration of what `predict` gives (labels and scores) on the first `images` pictures (None: all).

    Every labelled pixel counts the same. Pictures that cannot be read are left out and reported.

    Raises:
        CalibrationError: there was no labelled pixel.
    """
    reliability, read = Reliability(), 0
    for index in range(len(dataset) if images is None else min(images, len(dataset))):
        try:
            sample = dataset[index]
        except SampleError as error:
            logger.warning("left out: %s", error)
            continue
        labels, scores = predict(sample.image)
        known = sample.labels != IGNORE
        reliability.add(scores[known], labels[known] == sample.labels[known])
        read += 1
    return reliability.fit(f"{read} pictures with {len(dataset.vocabulary)} classes")


def _error(
    sums: Float64[np.ndarray, " n"],
    right: Float64[np.ndarray, " n"],
    pixels: Float64[np.ndarray, " n"],
    bins: np.ndarray,
) -> float:
    distances = np.bincount(bins, sums) - np.bincount(bins, right)
    return float(np.abs(distances).sum() / pixels.sum())
