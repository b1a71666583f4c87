from __future__ import annotations

import numpy as np
import pytest

from ahs_seg.output.colour_distance import (
    ciede2000,
    encoded,
    lab_of,
    linear_of,
    linear_of_lab,
    visible_difference,
    with_deuteranopia,
)

SHARMA = [
    (50.0, 2.6772, -79.7751, 50.0, 0.0, -82.7485, 2.0425),
    (50.0, 3.1571, -77.2803, 50.0, 0.0, -82.7485, 2.8615),
    (50.0, 2.8361, -74.0200, 50.0, 0.0, -82.7485, 3.4412),
    (50.0, -1.3802, -84.2814, 50.0, 0.0, -82.7485, 1.0000),
    (50.0, 0.0, 0.0, 50.0, -1.0, 2.0, 2.3669),
    (50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0009, 7.1792),
    (50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0011, 7.2195),
    (50.0, -0.0010, 2.4900, 50.0, 0.0011, -2.4900, 4.7461),
    (50.0, 2.5, 0.0, 50.0, 0.0, -2.5, 4.3065),
    (50.0, 2.5, 0.0, 73.0, 25.0, -18.0, 27.1492),
    (50.0, 2.5, 0.0, 61.0, -5.0, 29.0, 22.8977),
    (50.0, 2.5, 0.0, 56.0, -27.0, -3.0, 31.9030),
    (50.0, 2.5, 0.0, 58.0, 24.0, 15.0, 19.4535),
    (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
    (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
]
"""Pairs of Table 1 of Sharma, Wu and Dalal (2005), which reach every branch of the formula."""


def test_differences_are_those_that_sharma_publishes():
    table = np.array(SHARMA)
    assert ciede2000(table[:, :3], table[:, 3:6]) == pytest.approx(table[:, 6], abs=5e-5)
    assert ciede2000(table[:, 3:6], table[:, :3]) == pytest.approx(table[:, 6], abs=5e-5)


def test_lab_of_known_colours():
    found = lab_of(np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8))
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]]
    assert found == pytest.approx(np.array(expected), abs=0.02)


def test_every_colour_comes_back_from_lab_and_from_linear_light():
    colours = np.random.default_rng(0).integers(0, 256, (500, 3), dtype=np.uint8)
    assert np.array_equal(encoded(linear_of(colours)), colours)
    assert np.array_equal(encoded(linear_of_lab(lab_of(colours))), colours)


def test_deuteranopia_leaves_grey_and_blue_and_mixes_red_with_green():
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
    assert np.abs(with_deuteranopia(grey).astype(int) - grey).max() <= 1
    red, green = np.array([[224, 130, 90]], np.uint8), np.array([[140, 165, 90]], np.uint8)
    usual = ciede2000(lab_of(red), lab_of(green))[0]
    assert usual > 35
    assert visible_difference(red, green)[0] < usual / 8
    blue, orange = np.array([[40, 90, 200]], np.uint8), np.array([[230, 150, 30]], np.uint8)
    assert visible_difference(blue, orange)[0] > 40
