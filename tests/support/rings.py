"""Which pixels a closed line encloses."""

import numpy as np


def winding(ring: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """How often a closed line goes round each pixel's centre: signed crossings of the ray to the left."""
    x, y = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    total = np.zeros(shape, int)
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, 0), strict=True):
        if y0 != y1:
            crossing = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
            total += np.where((min(y0, y1) < y) & (y < max(y0, y1)) & (crossing < x), int(np.sign(y0 - y1)), 0)
    return total
