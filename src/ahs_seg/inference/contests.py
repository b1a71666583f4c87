"""Which text rows can be among the best in which region of an image, and the best of them.

Bounds of the scores, computed on a coarse grid, leave few text rows in each region; only these are resized to it. The
result is that of resizing all text rows, bit for bit: what is left out is below what is kept at every pixel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ahs_seg.inference.regions import regions_of, resize_by_regions
from ahs_seg.modules.constants import indices_on


@dataclass(frozen=True)
class Rivals:
    """How many classes are asked for at every pixel, and the class of every text row (None: each row is a class)."""

    depth: int = 1
    row_class: Int[Tensor, " t"] | None = None

    def bar(
        self, parts: Iterable[tuple[Int[Tensor, " _"], Float[Tensor, "_ i j"]]], windows: int = 1
    ) -> Float[Tensor, "i j"]:
        """What a text row must reach in a block to be among the best, from lower bounds of the rows (ascending).

        It is the `depth`-th best lower bound, lowered by what rounding can change (`margin`). Of several text rows of a
        class only the first counts.
        """
        best: Tensor | None = None
        last: Tensor | None = None
        for rows, lower in parts:
            bounds = lower
            if self.depth > 1 and self.row_class is not None:
                classes = self.row_class[rows]
                before = torch.cat([classes.new_full((1,), -1) if last is None else last, classes[:-1]])
                bounds, last = torch.where((classes != before)[:, None, None], lower, -torch.inf), classes[-1:]
            held = bounds if best is None else torch.cat([best, bounds])
            best = held.amax(0, keepdim=True) if self.depth == 1 else held.topk(min(self.depth, len(held)), 0).values
        if best is None:
            raise ValueError("there are no classes to choose from; give the text embeddings of at least one class")
        reached = best[-1] if len(best) >= self.depth else torch.full_like(best[0], -torch.inf)
        return reached - margin(reached, windows)


def margin(values: Float[Tensor, "*k i j"], windows: int) -> Float[Tensor, "*k i j"]:
    """More than rounding can change in values that are scored, averaged over so many windows, and resized.

    A product or a sum is wrong by at most 2^-24 of its value, a score by a few times that; there are `windows` sums, a
    division, and three products and sums along each axis of each of two resizings.
    """
    return 2.0**-21 * (8 + windows) * (1 + values.abs())


@runtime_checkable
class RegionalScores(Protocol):
    """Score maps that are resized, last of all, to the size of the image, so that regions can be computed alone."""

    @property
    def size(self) -> tuple[int, int]:
        """The size of the image."""

    @property
    def coarse_size(self) -> tuple[int, int]:
        """The size of the maps before they are resized."""

    def coarse(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c h w"]:
        """The maps of the given text rows before they are resized."""

    def finished(self, maps: Float[Tensor, "*c h w"]) -> Float[Tensor, "*c h w"]:
        """The scores from resized maps."""

    def contested(self, rows: Int[Tensor, " c"], rivals: Rivals, memory_bytes: int) -> Bool[Tensor, "c r"] | None:
        """For each text row, the regions in which it can be among the best (None: no bounds are known)."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A text row, the regions in which it can be among the best, and its map before it is resized."""

    row: int
    regions: Sequence[int]
    coarse: Float[Tensor, "h w"]


def best_of_regions(
    maps: RegionalScores, rows: Int[Tensor, " c"], memory_bytes: int
) -> tuple[Int[Tensor, "H W"], Float[Tensor, "H W"]] | None:
    """The text row with the highest score at every pixel (the first one on ties), and that score.

    None if `maps` knows no bounds.
    """
    contested = maps.contested(rows, Rivals(), memory_bytes)
    if contested is None:
        return None
    regions = regions_of(maps.coarse_size, maps.size, rows.device)
    labels = torch.empty(maps.size, dtype=torch.int32, device=rows.device)
    best = torch.empty(maps.size, device=rows.device)
    seen: set[int] = set()
    for contender in contenders(maps, rows, contested, memory_bytes):
        for index in contender.regions:
            region = regions[index]
            scores = maps.finished(region.resized(contender.coarse))
            if index in seen:
                here = best[region.place]
                labels[region.place].masked_fill_(scores > here, contender.row)
                torch.maximum(here, scores, out=here)
            else:
                seen.add(index)
                labels[region.place], best[region.place] = contender.row, scores
    return labels, best


def contenders(
    maps: RegionalScores, rows: Int[Tensor, " c"], contested: Bool[Tensor, "c r"], memory_bytes: int
) -> Iterator[Contender]:
    """Yield the text rows (ascending) that can be among the best somewhere. Waits for the device once."""
    table = torch.cat([rows[:, None], contested.to(rows.dtype)], 1).cpu().numpy()
    found = [(index, int(line[0]), line[1:].nonzero()[0].tolist()) for index, line in enumerate(table)]
    found = [one for one in found if one[2]]
    kept = rows[indices_on(rows.device, [index for index, _, _ in found])]
    height, width = maps.coarse_size
    parts = apart(kept, max(1, memory_bytes // (4 * torch.float32.itemsize * height * width)))
    coarse = (one for some in parts for one in maps.coarse(some))
    for (_, row, regions), one in zip(found, coarse, strict=True):
        yield Contender(row, regions, one)


def apart(rows: Int[Tensor, " c"], most: int) -> tuple[Int[Tensor, " k"], ...]:
    """Text rows in parts, one by one on the CPU.

    There, the last values of a tensor go through other instructions than the others, so that the last bit of a score
    would depend on what it is computed with; and a map of one row stays in the cache.
    """
    return torch.split(rows, 1 if rows.device.type == "cpu" else most)


def at_full_size(maps: RegionalScores, rows: Int[Tensor, " c"], *, together: bool = False) -> Float[Tensor, "c H W"]:
    """The scores of text rows at full image size, with the values that regions have (`together`: in one part)."""
    parts = [rows] if together else apart(rows, len(rows))
    return resize_by_regions(torch.cat([maps.coarse(some) for some in parts]), maps.size, maps.finished)
