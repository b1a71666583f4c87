"""The text rows that can have the highest score in a block of a tiled image, from the scores of its tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ahs_seg.inference.contests import Rivals
from ahs_seg.inference.regions import Combine, over_ranges, ranges_on
from ahs_seg.inference.window_bounds import sources

CELL: Final = 16
"""Side of the cells of a block in pixels, for which scores are bounded."""


@dataclass(frozen=True, slots=True)
class Share:
    """The pixels of a tile in a block along one axis: its first `length`, from pixel `start` of the tile on."""

    start: int
    length: int
    tile: int
    grid: int


@lru_cache(maxsize=64)
def _seen(share: Share, device: torch.device) -> Int[Tensor, "n m"]:
    """The range of the grid of a tile that each cell of the block sees; the tile reaches the first n cells."""
    first = np.arange(0, share.length, CELL)
    last = np.minimum(first + CELL, share.length) - 1
    return ranges_on(device, *sources(share.start + first, share.start + last, share.grid, share.tile))


def contested_rows(
    grids: Callable[[Tensor], Sequence[Tensor]],
    parts: Sequence[Int[Tensor, " _"]],
    shares: Sequence[tuple[Share, Share]],
    size: tuple[int, int],
) -> Int[Tensor, " k"]:
    """The text rows that can have the highest score somewhere in a block of `size` pixels.

    `grids` gives the scores of some rows in every tile; `parts` are all rows, as many at a time as fit into memory. A
    merged score is a mean, with weights that sum to 1, of scores that are mixed from those of a grid around them: it
    lies between the smallest and the greatest of them.
    """
    lower = ((some, _bounds(grids(some), shares, size, torch.minimum)) for some in parts)
    bar = Rivals().bar(lower, len(shares))
    upper = (_bounds(grids(some), shares, size, torch.maximum) for some in parts)
    return torch.cat(list(parts))[torch.cat([(~(one < bar)).flatten(1).any(1) for one in upper])]


def _bounds(
    grids: Sequence[Float[Tensor, "c h w"]],
    shares: Sequence[tuple[Share, Share]],
    size: tuple[int, int],
    combine: Combine,
) -> Float[Tensor, "c i j"]:
    cells = [-(-side // CELL) for side in size]
    found = grids[0].new_full((len(grids[0]), *cells), -torch.inf if combine is torch.maximum else torch.inf)
    for grid, (down, across) in zip(grids, shares, strict=True):
        one = over_ranges(grid, _seen(down, grid.device), _seen(across, grid.device), combine)
        place = found[:, : one.shape[1], : one.shape[2]]
        place.copy_(combine(place, one))
    return found
