"""Confidence calibration: mapping of scores to the expected pixel accuracy, fitted by isotonic regression.

A raw score measures how well a class fits a pixel, not how often the prediction is correct. That accuracy is measured
on labelled images, and isotonic regression (Zadrozny and Elkan, KDD 2002) gives the mapping from scores to confidences.
It is valid for classes and images similar to those it was fitted on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float64, Int32, UInt8
from pydantic import model_validator

from ahs_seg.config import Config
from ahs_seg.data.base import SegmentationDataset
from ahs_seg.errors import AhsSegError
from ahs_seg.io.failures import failure_of
from ahs_seg.metrics import count_image
from ahs_seg.types import IGNORE

logger = logging.getLogger(__name__)

_STEPS: Final = 4096
"""Number of histogram bins in which scores are accumulated."""
_GROUPS: Final = 64
"""Number of equal-mass groups of pixels whose accuracy enters the regression."""
_BINS: Final = 15
"""Number of bins of the expected calibration error, as in Guo et al., ICML 2017."""


class CalibrationError(AhsSegError, ValueError):
    """Error for a calibration that is missing or cannot be fitted; the message says what to do."""


class Calibration(Config):
    """Piecewise linear mapping from scores to pixel accuracy, given at `scores` by `accuracies`; constant outside.

    `source` describes the data it was fitted on. `error_before` and `error_after` are the expected calibration errors
    of the scores and of the confidences on that data.
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
        """Calibrated confidences of the given scores."""
        return np.interp(scores, self.scores, self.accuracies).astype(np.float32)


IDENTITY_CALIBRATION: Final = Calibration(scores=(0.0, 1.0), accuracies=(0.0, 1.0), source="none: scores as they are")
"""Identity mapping: scores are used as confidences, for models without a calibration."""


@dataclass
class Reliability:
    """Histogram of scores with the number of correct pixels per bin; memory does not grow with the number of pixels."""

    pixels: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(_STEPS))
    right: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(_STEPS))
    sums: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(_STEPS))

    def add(self, scores: Float[np.ndarray, "*s"], right: Bool[np.ndarray, "*s"]) -> None:
        """Add pixels: the score of each, and whether its predicted class is correct."""
        values = np.asarray(scores, np.float64).ravel()
        step = np.clip((values * _STEPS).astype(np.int64), 0, _STEPS - 1)
        self.pixels += np.bincount(step, minlength=_STEPS)
        self.right += np.bincount(step, right.ravel(), minlength=_STEPS)
        self.sums += np.bincount(step, values, minlength=_STEPS)

    def error(self) -> float:
        """Expected calibration error: mean absolute difference between score and accuracy, over 15 bins."""
        return _error(self.sums, self.right, self.pixels, np.arange(_STEPS) * _BINS // _STEPS)

    def fit(self, source: str) -> Calibration:
        """Calibration fitted to all pixels added so far.

        Raises:
            CalibrationError: no pixels were added.
        """
        if not self.pixels.any():
            raise CalibrationError("no labelled pixel was counted; calibrate with images that have labels")
        before = np.cumsum(self.pixels) - self.pixels
        group = np.minimum((before * _GROUPS / self.pixels.sum()).astype(np.int64), _GROUPS - 1)
        pixels, right, sums = (np.bincount(group, values) for values in (self.pixels, self.right, self.sums))
        from scipy.optimize import isotonic_regression  # takes half a second, and only fitting needs it

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
    """Calibration of the labels and scores that `predict` returns, fitted on the first `images` samples (None: all).

    Every labelled pixel has the same weight. Images that fail, also by a label that is no class, are skipped with a
    warning.

    Raises:
        CalibrationError: no image has a labelled pixel, or none can be used.
    """
    reliability, read, problems = Reliability(), 0, []
    for index in range(len(dataset) if images is None else min(images, len(dataset))):
        try:
            sample = dataset[index]
            labels, scores = predict(sample.image)
            count_image(labels, sample.labels, len(dataset.vocabulary), boundary=False)  # checks both
        except Exception as error:  # noqa: BLE001  # this image fails, see `io.failures`
            problems.append(failure_of(error, f"image {index}"))
            logger.warning("left out: %s", problems[-1])
            continue
        known = sample.labels != IGNORE
        reliability.add(scores[known], labels[known] == sample.labels[known])
        read += 1
    if problems and not read:
        raise CalibrationError(f"none of {len(problems)} images could be used. The first problem: {problems[0]}")
    return reliability.fit(f"{read} images with {len(dataset.vocabulary)} classes")


def _error(
    sums: Float64[np.ndarray, " n"],
    right: Float64[np.ndarray, " n"],
    pixels: Float64[np.ndarray, " n"],
    bins: np.ndarray,
) -> float:
    distances = np.bincount(bins, sums) - np.bincount(bins, right)
    return float(np.abs(distances).sum() / pixels.sum())
