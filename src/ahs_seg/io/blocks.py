"""Blocks of an image: work that needs several times the memory of its pixels is done block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

BLOCK_PIXELS: Final = 2**20
"""Maximum number of pixels of a block."""


def blocks(size: tuple[int, int], *, pixels: int = BLOCK_PIXELS) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the blocks that cover an image of (height, width), from top to bottom."""
    height, width = size
    columns = max(1, min(width, pixels))
    rows = max(1, pixels // columns)
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield slice(top, min(top + rows, height)), slice(left, min(left + columns, width))
