"""Rectangular regions of an image, and bilinear resizing of a map to one region at a time.

A large image is merged region by region, so that only the text rows that can win in a region are resized to it, and
what is compared stays in the cache of the processor. `torch.nn.functional.interpolate` resizes whole maps only, and
the last bit of its result depends on the build; here every product and every sum is rounded by itself, so that a pixel
has the same value however the image is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Combine = Callable[[Tensor, Tensor], Tensor]

CPU_SIDE: Final = 256
"""Side of a region in pixels on the CPU: a few maps of that size fit into the cache of one core."""
DEVICE_SIDE: Final = 2048
"""Side of a region in pixels on other devices, where many small operations would cost more than they save."""


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """Some outputs of an axis that is resized: each is the weighted sum of two inputs.

    `inputs` are the inputs that they need; `first` and `second` are counted from its start. None: the axis keeps its
    length.
    """

    outputs: slice
    inputs: slice
    first: Int[Tensor, " n"] | None
    second: Int[Tensor, " n"] | None
    weight: Float[Tensor, " n"] | None
    rest: Float[Tensor, " n"] | None


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A rectangle of the image, and how a map is resized to it."""

    down: Span
    across: Span

    @property
    def place(self) -> tuple[slice, slice]:
        """Its pixel rows and columns in the image."""
        return self.down.outputs, self.across.outputs

    def resized(self, maps: Float[Tensor, "*c h w"]) -> Float[Tensor, "*c n m"]:
        """Whole maps, resized to the image (bilinear, corners not aligned) and cut to this region."""
        return _mixed(_mixed(maps[..., self.down.inputs, self.across.inputs], self.across, -1), self.down, -2)


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """The regions of an image in row-major order, for maps that are resized to it."""

    downs: tuple[Span, ...]
    acrosses: tuple[Span, ...]

    def __len__(self) -> int:
        return len(self.downs) * len(self.acrosses)

    def __getitem__(self, index: int) -> Region:
        down, across = divmod(index, len(self.acrosses))
        return Region(self.downs[down], self.acrosses[across])


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # kept tensors may be used with gradients later
def regions_of(grid: tuple[int, int], size: tuple[int, int], device: torch.device) -> Regions:
    """The regions of an image of `size` for maps of the size `grid`."""
    side = CPU_SIDE if device.type == "cpu" else DEVICE_SIDE
    downs, acrosses = (_spans(inputs, outputs, side, device) for inputs, outputs in zip(grid, size, strict=True))
    return Regions(downs, acrosses)


@torch.no_grad()
def resize_by_regions(
    maps: Float[Tensor, "c h w"], size: tuple[int, int], finished: Callable[[Tensor], Tensor]
) -> Float[Tensor, "c H W"]:
    """`finished` of whole maps at another size, with the values that it has region by region."""
    found = regions_of((maps.shape[-2], maps.shape[-1]), size, maps.device)
    result = maps.new_empty(len(maps), *size)
    for index in range(len(found)):
        region = found[index]
        for one, place in zip(maps, result, strict=True):
            place[region.place] = finished(region.resized(one))
    return result


def over_ranges(
    maps: Tensor, down: Int[Tensor, "n m"], across: Int[Tensor, "k l"], combine: Combine = torch.maximum
) -> Tensor:
    """`combine` (the greater or the smaller of two) over every range of rows, then over every range of columns."""
    for axis, ranges in ((-2, down), (-1, across)):
        steps = [maps.index_select(axis, one) for one in ranges.T.contiguous()]
        maps = reduce(combine, steps)
    return maps


def ranges_on(device: torch.device, first: Int[np.ndarray, " n"], last: Int[np.ndarray, " n"]) -> Int[Tensor, "n m"]:
    """The indices from `first` to `last` (inclusive), one range in each row; shorter ranges repeat their last index."""
    longest = int((last - first).max()) + 1
    return torch.from_numpy(np.minimum(first[:, None] + np.arange(longest), last[:, None])).to(
        device, non_blocking=True
    )


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # kept tensors may be used with gradients later
def blocks_under(
    grid: tuple[int, int], size: tuple[int, int], edges: tuple[tuple[int, ...], tuple[int, ...]], device: torch.device
) -> tuple[Int[Tensor, "n m"], Int[Tensor, "k l"]]:
    """The blocks of each row and of each column of regions, for blocks that start at `edges`."""
    found = regions_of(grid, size, device)
    down, across = (
        ranges_on(device, *_reached(spans, np.asarray(starts)))
        for spans, starts in zip((found.downs, found.acrosses), edges, strict=True)
    )
    return down, across


def _reached(
    spans: tuple[Span, ...], starts: Int[np.ndarray, " b"]
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """The first and the last block with a part in each span."""
    return (
        np.searchsorted(starts, [span.inputs.start for span in spans], side="right") - 1,
        np.searchsorted(starts, [max(span.inputs.start, span.inputs.stop - 2) for span in spans], side="right") - 1,
    )


def contested_regions(
    contested: Bool[Tensor, "k i j"],
    edges: tuple[tuple[int, ...], tuple[int, ...]],
    grid: tuple[int, int],
    size: tuple[int, int],
) -> Bool[Tensor, "k r"]:
    """For every text row, the regions in which it can win, from the blocks of the map in which it can.

    Block i of an axis holds the inputs from `edges[i]` to `edges[i + 1]`, both included: every pixel of the image lies
    between two neighbours of one block.
    """
    down, across = blocks_under(grid, size, edges, contested.device)
    return over_ranges(contested.byte(), down, across).flatten(1).bool()


def _mixed(maps: Tensor, span: Span, axis: int) -> Tensor:
    if span.first is None or span.second is None or span.weight is None or span.rest is None:
        return maps
    weight, rest = (span.weight[:, None], span.rest[:, None]) if axis == -2 else (span.weight, span.rest)
    return maps.index_select(axis, span.first).mul_(weight).add_(maps.index_select(axis, span.second).mul_(rest))


def _spans(inputs: int, outputs: int, side: int, device: torch.device) -> tuple[Span, ...]:
    count = max(1, round(outputs / side))
    cuts = [slice(outputs * part // count, outputs * (part + 1) // count) for part in range(count)]
    if inputs == outputs:
        return tuple(Span(here, here, None, None, None, None) for here in cuts)
    source = ((torch.arange(outputs) + 0.5) * (torch.tensor(float(inputs)) / outputs) - 0.5).clamp(min=0)
    first = source.long().clamp(max=inputs - 1)
    second = (first + 1).clamp(max=inputs - 1)
    rest = (source - first).clamp(max=1)
    spans = []
    for here in cuts:
        needed = slice(int(first[here.start]), int(second[here.stop - 1]) + 1)
        moved = [
            one.to(device, non_blocking=True)
            for one in (first[here] - needed.start, second[here] - needed.start, 1 - rest[here], rest[here])
        ]
        spans.append(Span(here, needed, *moved))
    return tuple(spans)
