from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import binary_erosion

from ahs_seg.metrics import Measures, MetricAccumulator, boundary_band, count_boundaries, count_image
from ahs_seg.types import IGNORE

MAPS = hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(-1, 3))


def textbook(mask: np.ndarray, steps: int) -> np.ndarray:
    """The mask less its erosion by a 3x3 square, `steps` times, the outside counting as empty."""
    return mask & ~binary_erosion(mask, np.ones((3, 3)), iterations=steps, border_value=0)


@given(MAPS, st.sampled_from([0.02, 0.2]))
def test_bands_of_all_classes_at_once_are_those_of_each_mask(labels, ratio):
    steps = max(1, round(ratio * np.hypot(*labels.shape)))
    band = boundary_band(labels, dilation_ratio=ratio)
    for value in np.unique(labels):
        mask = labels == value
        np.testing.assert_array_equal(band & mask, textbook(mask, steps))


def test_counts_worked_out_by_hand():
    labels = np.zeros((5, 5), np.int64)
    prediction = labels.copy()
    prediction[2, 2] = 1
    # d = 1. The band of class 0 is the frame of 16 pixels. Predicted: all but the centre, which is class 1's band.
    np.testing.assert_array_equal(count_boundaries(prediction, labels), [[0, 16, 24, 16], [1, 0, 1, 0]])


def test_bytes_count_as_other_integers():
    labels = np.array([[0, 1, 1], [0, 0, IGNORE]])
    guess = np.array([[0, 0, 1], [0, 0, 1]], np.uint8)
    np.testing.assert_array_equal(count_boundaries(guess, labels), count_boundaries(guess.astype(int), labels))


@given(MAPS)
def test_a_perfect_prediction_scores_one_also_beside_ignored_pixels(labels):
    rng = np.random.default_rng(0)
    guess = np.where(labels == IGNORE, rng.integers(0, 4, labels.shape), labels)
    tally = MetricAccumulator(4, Measures(boundary=True))
    tally.add(count_image(guess, labels, 4, boundary=True))
    assert tally.scores().boundary_miou == (1 if (labels != IGNORE).any() else None)


def test_bands_must_have_been_counted():
    counts = count_image(np.zeros((2, 2), int), np.zeros((2, 2), int), 2, boundary=False)
    with pytest.raises(ValueError, match="bands were not counted"):
        MetricAccumulator(2, Measures(boundary=True)).add(counts)
