"""Boundary IoU: IoU restricted to a band along the inner boundary of each class, which is sensitive to thin errors.

Source: Cheng et al., "Boundary IoU", CVPR 2021, with its dilation of 2 % of the diagonal. It is defined for pairs
of binary masks; for label maps we define it as follows:

- The band of a class holds its pixels within `d` steps (also diagonal ones) of another class or of the image's edge;
  that is the mask minus its erosion by a 3x3 square, applied `d` times, as in the authors' code. d = round(0.02 *
  diagonal), at least 1.
- Pixels are accumulated over all images, then IoU is computed per class and averaged over classes with ground truth,
  as for mIoU.
- Pixels ignored in the labels are also removed from the prediction before bands are computed, so that a perfect
  prediction scores 1.
"""

from __future__ import annotations

from math import hypot
from typing import Final

import numpy as np
from jaxtyping import Bool, Int64, Integer

from ahs_seg.types import IGNORE

DILATION_RATIO: Final = 0.02
_OUTSIDE: Final = IGNORE - 1


def boundary_band(
    labels: Integer[np.ndarray, "H W"], *, dilation_ratio: float = DILATION_RATIO
) -> Bool[np.ndarray, "H W"]:
    """Boundary bands of all classes in one mask: pixels whose neighbourhood contains more than one label."""
    steps = max(1, round(dilation_ratio * hypot(*labels.shape)))
    from scipy.ndimage import maximum_filter, minimum_filter  # takes half a second, and inference does without

    values = labels.astype(np.int32)
    options = {"size": 2 * steps + 1, "mode": "constant", "cval": _OUTSIDE}
    band: Bool[np.ndarray, "H W"] = maximum_filter(values, **options) != minimum_filter(values, **options)
    return band


def count_boundaries(
    prediction: Integer[np.ndarray, "H W"],
    labels: Integer[np.ndarray, "H W"],
    *,
    dilation_ratio: float = DILATION_RATIO,
) -> Int64[np.ndarray, "n 4"]:
    """One row per class that occurs: class index, and band pixels in the labels, in the prediction and in both."""
    labels = labels.astype(np.int32)  # uint8 cannot represent `IGNORE`
    cut = np.where(labels == IGNORE, IGNORE, prediction.astype(np.int32))
    wanted = _band_labels(labels, dilation_ratio)
    guessed = _band_labels(cut, dilation_ratio)
    count = 1 + int(max(labels.max(initial=0), cut.max(initial=0)))
    columns = [
        np.bincount(wanted[wanted != IGNORE], minlength=count),
        np.bincount(guessed[guessed != IGNORE], minlength=count),
        np.bincount(wanted[(wanted == guessed) & (wanted != IGNORE)], minlength=count),
    ]
    there = np.flatnonzero(columns[0] + columns[1])
    return np.stack([there, *(column[there] for column in columns)], axis=1).astype(np.int64)


def _band_labels(labels: Integer[np.ndarray, "H W"], ratio: float) -> Integer[np.ndarray, "H W"]:
    """Labels inside the boundary bands, `IGNORE` elsewhere."""
    return np.where(boundary_band(labels, dilation_ratio=ratio), labels, IGNORE)
