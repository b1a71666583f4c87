"""Recorded values are those of OpenCV 4.10.0 (and 5.0.0), cv2.resize."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from ahs_seg.data.prepare.resize import shrink_bilinear, shrink_nearest, shrunk_size


def pattern(height: int, width: int) -> np.ndarray:
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    return ((y * 37 + x * 91 + c * 53 + x * y * c) % 256).astype(np.uint8)


RECORDED = """
83,136,190 39,94,149 166,120,108 208,95,101 164,223,128 120,130,156
164,83,103 120,182,243 77,145,144 119,108,182 245,70,151 134,67,121
75,131,102 202,14,82 158,153,62 115,206,127 71,174,21 198,142,171
71,129,187 27,102,176 154,75,149 162,116,156 152,21,146 109,131,119
152,143,100 109,190,169 65,134,118 107,146,101 131,125,169 156,103,118
"""


def test_bilinear_as_recorded():
    expected = [[list(map(int, pixel.split(","))) for pixel in row.split()] for row in RECORDED.split("\n") if row]
    assert shrink_bilinear(pattern(11, 14), 5, 6).tolist() == expected


def test_bilinear_of_a_photograph_s_size_as_recorded():
    found = shrink_bilinear(pattern(683, 1024), 512, 768)
    digest = hashlib.sha256(found.tobytes()).hexdigest()
    assert digest == "fcf88388b3fa2ba540ed4edcc9395a3c860cea528cf869d128a6b1b13275c652"


def test_half_the_size_is_a_mean_of_four():
    recorded = [[64, 118, 172, 98], [138, 64, 118, 172], [148, 138, 64, 118]]
    assert shrink_bilinear(pattern(6, 8), 3, 4)[..., 0].tolist() == recorded


def test_nearest_as_recorded():
    y, x = np.mgrid[0:11, 0:14]
    rows = [[100 * row + column for column in (0, 2, 4, 7, 9, 11)] for row in (0, 2, 4, 6, 8)]
    assert shrink_nearest(y * 100 + x, 5, 6).tolist() == rows


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((512, 900), (512, 900)),
        ((300, 4000), (300, 4000)),
        ((768, 1024), (512, 683)),
        ((1024, 768), (683, 512)),
        ((513, 513), (512, 512)),
        ((600, 605), (512, 516)),  # 516.27
    ],
)
def test_sizes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    height, width = size
    assert shrunk_size(height, width, 512) == expected
