"""Filling of polygons: the pixels whose centres lie inside."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, Float

from ahs_seg.errors import SampleError
from ahs_seg.io.rle import shortened

MAX_CROSSINGS: Final = 50_000_000
"""Most crossings of a polygon's edges with the rows of its image; a box of 20,000 rows has 40,000."""


def polygon_points(values: object) -> Float[np.ndarray, "n 2"]:
    """Vertices (x, y) in pixels of `[[x, y], ...]` or `[x, y, x, y, ...]`.

    Raises:
        SampleError: they are not pairs of finite numbers, or fewer than three.
    """
    flat = values if isinstance(values, list) else None
    if flat and all(isinstance(one, list) and len(one) == 2 for one in flat):
        flat = [part for one in flat for part in one]
    if flat is None or len(flat) % 2 or not all(_is_number(one) for one in flat):
        raise SampleError(f"polygon {shortened(values)}; allowed are pairs x, y of finite numbers.")
    if len(flat) < 6:
        raise SampleError(f"polygon {shortened(values)} has {len(flat) // 2} vertices; allowed are 3 or more.")
    return np.array(flat, np.float64).reshape(-1, 2)


def filled(points: Float[np.ndarray, "n 2"], size: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    """Mask of `size` (height, width): the pixels whose centres lie inside the polygon, by the even-odd rule.

    Parts outside of the image are cut off. The outlines that `output.formats.polygons` writes give their mask again to
    the pixel; fillers that also paint the pixels under the outline, as pycocotools does, differ along it.

    Raises:
        SampleError: filling it takes more work than `MAX_CROSSINGS`.
    """
    height, width = size
    (x, y), (next_x, next_y) = points.T, np.roll(points, -1, 0).T
    # the edge crosses the rows whose centres lie in [low, high)
    low, high = (
        np.clip(np.ceil(bound(y, next_y) - 0.5), 0, height).astype(np.int64) for bound in (np.minimum, np.maximum)
    )
    counts = high - low
    total = int(counts.sum())
    if total > MAX_CROSSINGS:
        raise SampleError(f"polygon whose edges cross {total:,} rows; allowed are {MAX_CROSSINGS:,}. Simplify it.")
    edge = np.repeat(np.arange(len(points)), counts)
    rows = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts) + low[edge]
    share = (rows + 0.5 - y[edge]) / (next_y - y)[edge]
    columns = np.clip(np.ceil(x[edge] + share * (next_x - x)[edge] - 0.5), 0, width).astype(np.int64)
    if not total:
        return np.zeros(size, np.bool_)
    top, bottom, left = int(rows.min()), int(rows.max()) + 1, int(columns.min())
    flips = np.zeros((bottom - top, int(columns.max()) + 1 - left), np.bool_)
    np.logical_xor.at(flips, (rows - top, columns - left), True)
    mask = np.zeros(size, np.bool_)
    inside = np.logical_xor.accumulate(flips, axis=1)[:, : width - left]
    mask[top:bottom, left : left + inside.shape[1]] = inside
    return mask


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**31
