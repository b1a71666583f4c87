from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest

from ahs_seg.data.color_jitter import ColourJitter, hsv_to_rgb, rgb_to_hsv

RGB = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [205, 78, 169], [152, 91, 209]]
RGB += [[12, 200, 100], [250, 128, 7], [33, 34, 35], [128, 128, 127], [255, 0, 1], [1, 0, 0]]
OPENCV_HSV = [[0, 255, 255], [60, 255, 255], [120, 255, 255], [0, 0, 255], [0, 0, 0], [158, 158, 205], [135, 144, 209]]
OPENCV_HSV += [[74, 240, 200], [15, 248, 250], [105, 15, 35], [30, 2, 128], [0, 255, 255], [0, 255, 1]]
"""cv2.cvtColor(RGB, cv2.COLOR_RGB2HSV) of OpenCV 4.6, 4.12 and 5.0."""

HSV = [[0, 3, 5], [10, 200, 250], [45, 128, 77], [85, 255, 255], [110, 99, 180], [140, 31, 200], [179, 255, 128]]
HSV += [[60, 0, 200], [30, 255, 1], [150, 77, 33], [179, 7, 255]]
OPENCV_RGB = [[5, 4, 4], [250, 119, 53], [57, 77, 38], [0, 255, 212], [110, 133, 180], [191, 175, 200], [128, 0, 4]]
OPENCV_RGB += [[200, 200, 200], [1, 1, 0], [33, 23, 32], [255, 248, 248]]
"""cv2.cvtColor(HSV, cv2.COLOR_HSV2RGB) of OpenCV 5.0 in an image wide enough for its vector instructions."""


def random_image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def test_hsv_equals_opencv():
    assert rgb_to_hsv(np.array([RGB], np.uint8)).tolist() == [OPENCV_HSV]


def test_rgb_equals_opencv():
    assert hsv_to_rgb(np.array([HSV], np.uint8)).tolist() == [OPENCV_RGB]


def test_hsv_agrees_with_colorsys():
    image = random_image()
    hsv = rgb_to_hsv(image)
    for rgb, got in zip(image.reshape(-1, 3), hsv.reshape(-1, 3).astype(int), strict=True):
        hue, saturation, _ = colorsys.rgb_to_hsv(*(rgb / 255))
        assert got[2] == rgb.max()
        assert abs(got[1] - saturation * 255) <= 1
        assert min(abs(got[0] - hue * 180), 180 - abs(got[0] - hue * 180)) <= 1


def test_rgb_agrees_with_colorsys():
    hsv = random_image(1)
    hsv[..., 0] %= 180
    for source, got in zip(hsv.reshape(-1, 3), hsv_to_rgb(hsv).reshape(-1, 3), strict=True):
        expected = np.array(colorsys.hsv_to_rgb(source[0] / 180, source[1] / 255, source[2] / 255)) * 255
        assert (got <= expected + 0.01).all()
        assert (got > expected - 1.01).all()


def test_there_and_back_stays_near():
    image = random_image(2)
    assert np.abs(hsv_to_rgb(rgb_to_hsv(image)).astype(int) - image).max() <= 6


def only(**parts: Any) -> ColourJitter:
    """A jitter that surely happens, but only in the part given."""
    off = {"probability": 1, "brightness": 0, "contrast": (1, 1), "saturation": (1, 1), "hue": 0}
    return ColourJitter.model_validate(off | parts)


def test_brightness_adds_and_truncates():
    image = random_image()
    grey = np.repeat(image[..., :1], 3, -1)
    result = only(brightness=32).apply(grey, np.random.default_rng(5))
    shifts = (result.astype(int) - grey)[(result > 0) & (result < 255)]
    assert np.ptp(shifts) == 0
    assert -33 <= shifts[0] <= 32


def test_contrast_is_a_factor_cut_off_at_white():
    grey = np.full((4, 4, 3), 101, np.uint8)
    assert (only(contrast=(1.5, 1.5)).apply(grey, np.random.default_rng(0)) == 151).all()
    assert (only(contrast=(0.5, 0.5)).apply(grey, np.random.default_rng(0)) == 50).all()
    assert (only(contrast=(3, 3)).apply(grey, np.random.default_rng(0)) == 255).all()


def test_no_saturation_is_grey():
    result = only(saturation=(0, 0)).apply(random_image(), np.random.default_rng(0))
    assert (result[..., 0] == result[..., 1]).all()
    assert (result[..., 1] == result[..., 2]).all()


def test_hue_turns_the_circle_both_ways_within_its_bound():
    red = np.full((2, 2, 3), (200, 0, 0), np.uint8)
    results = [only(hue=60).apply(red, np.random.default_rng(seed)) for seed in range(200)]
    assert all((result.max(-1) == 200).all() and (result.min(-1) == 0).all() for result in results)
    hues = {int(rgb_to_hsv(result)[0, 0, 0]) for result in results}
    assert hues <= {*range(61), *range(119, 180)}
    assert hues & set(range(40, 61))
    assert hues & set(range(119, 140))


def test_probability_zero_changes_nothing_and_the_seed_decides():
    image, jitter = random_image(), ColourJitter()
    assert np.array_equal(ColourJitter(probability=0).apply(image, np.random.default_rng(0)), image)
    results = [jitter.apply(image, np.random.default_rng(seed)) for seed in (3, 3, 4, 5, 6)]
    assert np.array_equal(results[0], results[1])
    assert any(not np.array_equal(results[0], other) for other in results[2:])
    assert np.array_equal(image, random_image())


@pytest.mark.parametrize("wrong", [{"probability": 2}, {"hue": 200}, {"contrast": (-1, 1)}])
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ColourJitter(**wrong)
