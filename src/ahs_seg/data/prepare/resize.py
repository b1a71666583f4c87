"""Bit-exact OpenCV downscaling: ADE20K-847 is scored on images that its original script resized with OpenCV.

Pillow antialiases when downscaling; OpenCV's bilinear filter uses four neighbours for any factor. Label maps resized by
another library differ at every border, so both filters are reproduced here instead of adding OpenCV as a dependency.
Source: OpenCV 4, modules/imgproc/src/resize.cpp (`resizeGeneric_` with 11-bit weights, `resizeNN`).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Shaped, UInt8

_ONE = 2048
"""Weight 1 in OpenCV's fixed-point arithmetic."""


def shrunk_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """(height, width) with the shorter side at most `short_side` and the aspect ratio preserved."""
    if min(height, width) <= short_side:
        return height, width
    if width >= height:
        return short_side, round(width / float(height) * short_side)
    return round(height / float(width) * short_side), short_side


def shrink_nearest(values: Shaped[np.ndarray, "H W"], height: int, width: int) -> Shaped[np.ndarray, "h w"]:
    """Nearest-neighbour downscaling, equal to `cv2.resize(..., interpolation=cv2.INTER_NEAREST)`."""
    rows, columns = (_nearest(old, new) for old, new in zip(values.shape, (height, width), strict=True))
    return values[rows][:, columns]


def shrink_bilinear(image: UInt8[np.ndarray, "H W c"], height: int, width: int) -> UInt8[np.ndarray, "h w c"]:
    """Bilinear downscaling of an 8-bit image, equal to `cv2.resize(..., interpolation=cv2.INTER_LINEAR)`."""
    if image.shape[:2] == (2 * height, 2 * width):  # OpenCV averages each 2x2 square instead
        squares = image.reshape(height, 2, width, 2, -1).sum((1, 3), np.int32)
        return ((squares + 2) >> 2).astype(np.uint8)
    left, right, a, b = _neighbours(image.shape[1], width)
    across = image[:, left].astype(np.int32) * a[:, None] + image[:, right].astype(np.int32) * b[:, None]
    above, below, a, b = _neighbours(image.shape[0], height)
    upper, lower = across[above] >> 4, across[below] >> 4
    total = (upper * a[:, None, None] >> 16) + (lower * b[:, None, None] >> 16)
    return ((total + 2) >> 2).clip(0, 255).astype(np.uint8)


def _nearest(old: int, new: int) -> Int[np.ndarray, " n"]:
    step = 1.0 / (new / old)
    return np.minimum(np.floor(np.arange(new) * step).astype(np.int64), old - 1)


def _neighbours(old: int, new: int) -> tuple[Int[np.ndarray, " n"], ...]:
    """Indices of the two neighbours of each new pixel, and their weights in units of 1/2048."""
    place = ((np.arange(new) + 0.5) * (1.0 / (new / old)) - 0.5).astype(np.float32)
    first = np.floor(place).astype(np.int64)
    part = place - first.astype(np.float32)
    weights = (np.rint(weight * np.float32(_ONE)).astype(np.int32) for weight in (np.float32(1) - part, part))
    return first, np.minimum(first + 1, old - 1), *weights
