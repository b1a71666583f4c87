"""Bounds of the merged scores of windows, from their logits at the resolution of the method.

The canvas is divided into blocks. The logits of a window at the pixels of a block lie between the smallest and the
greatest value of the grid around them, so do their scores, since a score never falls where a logit rises, and the means
of the bounds over the windows are bounds of the merged score. A text row whose upper bound is below the lower bound of
another row is not the best anywhere in the block.

Rounding: a value that is mixed from others by n products and sums is wrong by at most about n times 2^-24 of the
greatest of them. Bounds are moved outwards by more than the operations of resizing, scoring and averaging can add up
to (`margin`); rows that are nearer to each other than that are both kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ahs_seg.inference.contests import margin
from ahs_seg.inference.regions import Combine, over_ranges, ranges_on

SLACK: Final = 1e-2
"""Positions on a grid are widened by this fraction of a cell: they are computed in float32 when maps are resized."""
MIN_BLOCK: Final = 4
"""Least side of a block of the canvas in pixels; it is about two cells of the grid of a window."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Windows on a canvas with the size of their grids of logits; a view of the whole image may have another grid."""

    corners: tuple[tuple[int, int], ...]
    window: tuple[int, int]
    canvas: tuple[int, int]
    grid: tuple[int, int]
    whole: tuple[int, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """The blocks that a window touches along one axis, and the range of its grid that each of them sees."""

    touched: slice
    ranges: Int[Tensor, "n m"]


@dataclass(frozen=True, slots=True, eq=False)
class BlockPlan:
    """Blocks of the canvas; block i of an axis reaches from `starts[i]` to `starts[i + 1]`, both included.

    `steady` are the blocks that every window that touches them covers whole; `count` windows touch a block. `most` is
    the greatest number of windows at a pixel.
    """

    starts: tuple[tuple[int, ...], tuple[int, ...]]
    windows: tuple[tuple[Blocks, Blocks], ...]
    whole: tuple[Blocks, Blocks] | None
    steady: Bool[Tensor, "i j"]
    count: Float[Tensor, "i j"]
    most: int


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # kept tensors may be used with gradients later
def block_plan(geometry: Geometry, device: torch.device) -> BlockPlan:
    """The blocks for windows, computed once for each geometry and device."""
    axes = [_Axis.of(geometry, axis) for axis in (0, 1)]
    windows, shape = [], [len(axis.starts) for axis in axes]
    count, steady = np.zeros(shape), np.ones(shape, bool)
    for corner in geometry.corners:
        found = [axis.under(place, device) for axis, place in zip(axes, corner, strict=True)]
        windows.append((found[0][0], found[1][0]))
        place = (found[0][0].touched, found[1][0].touched)
        count[place] += 1
        steady[place] &= found[0][1][:, None] & found[1][1]
    whole = None
    if geometry.whole is not None:
        down, across = (axis.whole(grid, device) for axis, grid in zip(axes, geometry.whole, strict=True))
        whole = down, across
    return BlockPlan(
        (tuple(axes[0].starts.tolist()), tuple(axes[1].starts.tolist())),
        tuple(windows),
        whole,
        torch.from_numpy(steady).to(device, non_blocking=True),
        torch.from_numpy(count).float().to(device, non_blocking=True),
        int(count.max()),
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    """Blocks along one axis of a canvas with `canvas` pixels, for windows of `window` pixels with `grid` cells."""

    starts: Int[np.ndarray, " n"]
    canvas: int
    window: int
    grid: int

    @classmethod
    def of(cls, geometry: Geometry, axis: int) -> _Axis:
        canvas, window, grid = geometry.canvas[axis], geometry.window[axis], geometry.grid[axis]
        step = max(MIN_BLOCK, round(2 * window / grid))
        edges = {start for corner in geometry.corners for start in (corner[axis], corner[axis] + window)}
        edges |= set(range(0, canvas, step))
        return cls(np.array(sorted(edge for edge in edges if edge == 0 or edge < canvas - 1)), canvas, window, grid)

    @property
    def ends(self) -> Int[np.ndarray, " n"]:
        """The last pixel of each block, which is the first of the next one."""
        return np.append(self.starts[1:], self.canvas - 1)

    def under(self, place: int, device: torch.device) -> tuple[Blocks, Bool[np.ndarray, " k"]]:
        """The blocks that a window at `place` touches, and which of them it covers whole."""
        last = place + self.window - 1
        touched = np.flatnonzero((self.ends >= place) & (self.starts <= last))
        starts, ends = self.starts[touched], self.ends[touched]
        first, final = sources(
            np.maximum(starts, place) - place, np.minimum(ends, last) - place, self.grid, self.window
        )
        blocks = Blocks(slice(int(touched[0]), int(touched[-1]) + 1), ranges_on(device, first, final))
        return blocks, (starts >= place) & (ends <= last)

    def whole(self, grid: int, device: torch.device) -> Blocks:
        """The range of the grid of a view of the whole image that each block sees, through the size of a window."""
        first, last = sources(self.starts, self.ends, self.window, self.canvas)
        return Blocks(slice(0, len(self.starts)), ranges_on(device, *sources(first, last, grid, self.window)))


def sources(
    first: Int[np.ndarray, " n"], last: Int[np.ndarray, " n"], inputs: int, outputs: int
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """The first and the last input that the outputs from `first` to `last` (inclusive) are mixed from."""
    if inputs == outputs:
        return first, last
    low = np.floor((first + 0.5) * inputs / outputs - 0.5 - SLACK).astype(np.int64)
    high = np.ceil((last + 0.5) * inputs / outputs - 0.5 + SLACK).astype(np.int64)
    return np.clip(low, 0, inputs - 1), np.clip(high, 0, inputs - 1)


def merged_bounds(
    plan: BlockPlan,
    windows: Sequence[Float[Tensor, "k h w"]],
    whole: Float[Tensor, "k y x"] | None,
    scores: Callable[[Tensor], Tensor],
    combine: Combine,
) -> Float[Tensor, "k i j"]:
    """Bounds of the merged scores (or logits) in every block, from the logits of the views at their own size.

    They are upper bounds with `torch.maximum` as `combine`, and lower bounds with `torch.minimum`.
    """

    def found(logits: Tensor, down: Blocks, across: Blocks) -> Tensor:
        outermost = over_ranges(logits, down.ranges, across.ranges, combine)
        slack = margin(outermost, plan.most)
        return scores(outermost + slack if combine is torch.maximum else outermost - slack)

    first = windows[0]
    shape = (len(first), *plan.count.shape)
    total = first.new_zeros(shape)
    outermost = first.new_full(shape, -torch.inf if combine is torch.maximum else torch.inf)
    for logits, (down, across) in zip(windows, plan.windows, strict=True):
        bounds, place = found(logits, down, across), (..., down.touched, across.touched)
        total[place] += bounds
        outermost[place] = combine(outermost[place], bounds)
    merged = torch.where(plan.steady, total / plan.count, outermost)
    if whole is not None and plan.whole is not None:
        merged = (merged + found(whole, *plan.whole)) / 2
    return merged
