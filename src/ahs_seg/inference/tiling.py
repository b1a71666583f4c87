"""Tiled inference at full resolution for images of any size: bands of labels from top to bottom, in bounded memory.

Two things stay in memory: the logits, at the method's resolution, of the tiles that extend below the present band, and
the pixel rows that these tiles share with the next ones. Both grow with the width of the image, not with its height.

Tiles overlap. In the overlap of two tiles, the weight of one falls from 1 to 0 while that of the other rises, over the
middle half of the overlap; the quarter at the edge of each tile has weight 0. So every pixel is labelled with at least
that much context, and if the receptive field of a method is not larger, the result equals that without tiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from math import ceil, prod

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Int32, UInt8
from pydantic import Field, PositiveInt
from torch import Tensor

from ahs_seg.config import Config, ConfigError
from ahs_seg.inference.contests import apart
from ahs_seg.inference.predict import run_views, to_tensor
from ahs_seg.inference.score_maps import FLOAT_BYTES, AnyView, ScoreFunction, ScoreMaps, View, best_rows, candidates
from ahs_seg.inference.softmax_scores import SoftmaxScores
from ahs_seg.inference.tile_bounds import Share, contested_rows
from ahs_seg.inference.window_scores import unchanged
from ahs_seg.inference.windows import WORKING_SIDE
from ahs_seg.io.rasters import ReadRows
from ahs_seg.methods.base import Method
from ahs_seg.modules.constants import uploaded
from ahs_seg.types import Words

RESTING = 0.25
"""Fraction of an overlap, at each of its two ends, in which only one tile has a weight."""


class TileConfig(Config):
    """Square tiles of side `size` in pixels (None: 5/3 of the backbone's resolution, as without tiles).

    Neighbouring tiles overlap by at least the fraction `overlap` of `size`; tiles are spread evenly over the image.
    """

    size: PositiveInt | None = None
    overlap: float = Field(default=1 / 3, ge=0, lt=1)

    @property
    def title(self) -> str:
        """Part of the title of the protocol."""
        return f"tiles of {self.size or f'{WORKING_SIDE:.3g} resolutions'}, overlap {self.overlap:.3g}"

    def axis(self, side: int, resolution: int) -> TileAxis:
        """The tiles along one side of an image."""
        size = min(side, self.size or round(resolution * WORKING_SIDE))
        step = max(1, int(size * (1 - self.overlap)))
        count = ceil((side - size) / step) + 1
        last = max(1, count - 1)
        return TileAxis(side, size, tuple(round(index * (side - size) / last) for index in range(count)))


@dataclass(frozen=True)
class TileAxis:
    """Tiles of one size along a side; `places` are their start positions, from 0; the last tile ends at the border."""

    side: int
    size: int
    places: tuple[int, ...]

    def block(self, index: int) -> range:
        """The pixels that are complete once tile `index` has run: from its start to the start of the next tile."""
        end = self.places[index + 1] if index + 1 < len(self.places) else self.side
        return range(self.places[index], end)

    def reaching(self, index: int) -> list[int]:
        """The tiles up to `index` that overlap the block of tile `index`."""
        return [tile for tile in range(index + 1) if self.places[tile] + self.size > self.places[index]]

    def reaches(self, index: int) -> list[TileOverlap]:
        """The overlaps of tiles with the block of tile `index`; tiles with weight 0 in the whole block are left out."""
        block, found = self.block(index), []
        for tile in self.reaching(index):
            place = self.places[tile]
            inside = slice(block.start - place, min(block.stop - place, self.size))
            weights = self.weights[tile, inside]
            if weights.any():
                found.append(TileOverlap(tile, inside, weights))
        return found

    @cached_property
    def weights(self) -> Float[np.ndarray, "tiles size"]:
        """The blending weight of each tile at each of its pixels; at every pixel the weights of all tiles sum to 1."""
        weights = np.ones((len(self.places), self.size), np.float32)
        for left, (place, following) in enumerate(pairwise(self.places)):
            overlap = place + self.size - following
            along = (np.arange(overlap) + 0.5) / max(1, overlap)
            rise = np.clip((along - RESTING) / (1 - 2 * RESTING), 0, 1)
            weights[left, self.size - overlap :] *= 1 - rise
            weights[left + 1, :overlap] *= rise
        total = np.zeros(self.side, np.float32)
        for place, weight in zip(self.places, weights, strict=True):
            total[place : place + self.size] += weight
        return np.stack([w / total[p : p + self.size] for p, w in zip(self.places, weights, strict=True)])


@dataclass(frozen=True, slots=True, eq=False)
class TileOverlap:
    """The pixels of a tile that lie in a block, along one side, and their weights; they start at the block's start."""

    tile: int
    inside: slice
    weights: Float[np.ndarray, " n"]


@dataclass(frozen=True, slots=True)
class Band:
    """Some pixel rows of the result, from row `top` on: classes, scores in [0, 1], and the RGB image."""

    top: int
    labels: Int32[np.ndarray, "h W"]
    scores: Float[np.ndarray, "h W"]
    image: UInt8[np.ndarray, "h W 3"]


def check_tileable(method: Method) -> None:
    """Check that a method can be run on tiles.

    Raises:
        ConfigError: it refines scores by the whole image.
    """
    if method.merging.refine is not None:
        raise ConfigError(
            "refine is set, but it works on whole images, and tiles are segmented one by one. Leave out --tile, or "
            "set inference.options.refine=false."
        )


@dataclass(frozen=True, slots=True)
class TileMerger:
    """Runs a method on tiles and merges the outputs into bands; `words`: text input, `row_class` as in `predict`.

    Raises:
        ConfigError: as by `check_tileable`.
    """

    method: Method
    words: Words
    row_class: Sequence[int]
    tiles: TileConfig
    batch: int = 1
    memory_bytes: int = 16 * 2**20

    def __post_init__(self) -> None:
        check_tileable(self.method)

    def bands(self, read: ReadRows, size: tuple[int, int]) -> Iterator[Band]:
        """Yield the result in bands from top to bottom; `read` is called for every pixel row once, in order."""
        resolution = self.method.backbone.resolution
        rows, columns = (self.tiles.axis(side, resolution) for side in size)
        classes = torch.tensor(self.row_class, dtype=torch.int32)
        known: dict[int, list[AnyView]] = {}
        strip = read(0, 0)
        for index, top in enumerate(rows.places):
            reaching = rows.reaching(index)
            known = {tile: known[tile] for tile in reaching if tile in known}
            start = top - (rows.places[index - 1] if index else 0)
            strip = np.concatenate([strip[start:], read(top + len(strip) - start, top + rows.size)])
            known[index] = self._views(strip, columns)
            labels, scores = self._band(known, rows, columns, index)
            height = len(rows.block(index))
            yield Band(top, classes[labels].numpy(), scores.numpy(), strip[:height])

    def _maps(self, parts: tuple[TilePart, ...], rows: Int[Tensor, " c"], size: tuple[int, int]) -> ScoreMaps:
        if self.method.merging.softmax:
            return SoftmaxScores(BlockScores(parts, unchanged, size), rows, size, self.memory_bytes)
        return BlockScores(parts, self.method.scores, size)

    @torch.inference_mode()
    def _views(self, strip: UInt8[np.ndarray, "h W 3"], columns: TileAxis) -> list[AnyView]:
        views: list[AnyView] = []
        for start in range(0, len(columns.places), self.batch):
            places = columns.places[start : start + self.batch]
            frames = [to_tensor(strip[:, left : left + columns.size]) for left in places]
            views += run_views(self.method, uploaded(torch.stack(frames), self.words.device), self.words, self.batch)
        return views

    @torch.inference_mode()
    def _band(
        self, known: dict[int, list[AnyView]], rows: TileAxis, columns: TileAxis, index: int
    ) -> tuple[Int[Tensor, "h W"], Float[Tensor, "h W"]]:
        height = len(rows.block(index))
        labels = torch.empty(height, columns.side, dtype=torch.int32)
        scores = torch.empty(height, columns.side)
        for column in range(len(columns.places)):
            block = columns.block(column)
            parts = tuple(
                TilePart(known[down.tile][across.tile], down, across, (rows.size, columns.size))
                for down in rows.reaches(index)
                for across in columns.reaches(column)
            )
            asked = candidates([part.view for part in parts], len(self.words))
            maps = self._maps(parts, asked, (height, len(block)))
            if isinstance(maps, BlockScores):
                asked = maps.possible_winners(asked, self.memory_bytes)
            found, best = best_rows(maps, asked, memory_bytes=self.memory_bytes)
            place = (slice(None), slice(block.start, block.stop))
            labels[place], scores[place] = found.cpu(), best.cpu()
        return labels, scores


@dataclass(frozen=True)
class TilePart:
    """The output of one tile of `size` pixels for a block, and its weights there."""

    view: AnyView
    down: TileOverlap
    across: TileOverlap
    size: tuple[int, int]

    def __call__(self, rows: Int[Tensor, " c"], scores: ScoreFunction) -> Float[Tensor, "c n m"]:
        """Weighted scores of the given text rows at the first n x m pixels of the block, those in the tile."""
        if isinstance(self.view, View):
            down, across = self._resizers
            return down @ scores(self.view.of(rows)) @ across.T
        cut = self.view.logits_at(rows, self.size)[:, self.down.inside, self.across.inside]
        down, across = self._weights
        return scores(cut) * down[:, None] * across

    @property
    def shares(self) -> tuple[Share, Share]:
        """Where the tile lies in the block, along each axis."""
        assert isinstance(self.view, View)
        down, across = (
            Share(one.inside.start, len(one.weights), side, grid)
            for one, side, grid in zip((self.down, self.across), self.size, self.view.logits.shape[-2:], strict=True)
        )
        return down, across

    @cached_property
    def _weights(self) -> tuple[Float[Tensor, " n"], Float[Tensor, " m"]]:
        device = self.view.device
        down, across = (torch.tensor(one.weights).to(device, non_blocking=True) for one in (self.down, self.across))
        return down, across

    @cached_property
    def _resizers(self) -> tuple[Float[Tensor, "n h"], Float[Tensor, "m w"]]:
        """Matrices that resize each axis of the grid to the pixels in the block, and weight them."""
        down, across = (
            weights[:, None] * _resizer(share.tile, share.grid)[reach.inside].to(weights.device, non_blocking=True)
            for weights, share, reach in zip(self._weights, self.shares, (self.down, self.across), strict=True)
        )
        return down, across


@dataclass(frozen=True)
class BlockScores:
    """Scores of a block of the image: the weighted sum of the scores of its tiles, resized (bilinear)."""

    parts: Sequence[TilePart]
    scores: ScoreFunction
    size: tuple[int, int]

    @property
    def row_bytes(self) -> int:
        """Bytes of two tiles and two blocks."""
        return 2 * FLOAT_BYTES * (prod(self.parts[0].size) + prod(self.size))

    def __call__(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c H W"]:
        """The scores of the given text rows."""
        return torch.cat([self._together(some) for some in apart(rows, len(rows))])

    def possible_winners(self, rows: Int[Tensor, " c"], memory_bytes: int) -> Int[Tensor, " k"]:
        """The text rows (ascending) that can have the highest score somewhere in the block; usually few."""
        views = [part.view for part in self.parts]
        grids = [view.logits[0].numel() for view in views if isinstance(view, View)]
        if len(grids) < len(views):
            return rows
        split = torch.split(rows, max(1, memory_bytes // (2 * FLOAT_BYTES * sum(grids))))
        return contested_rows(self._grids, split, [part.shares for part in self.parts], self.size)

    def _grids(self, rows: Int[Tensor, " c"]) -> list[Float[Tensor, "c h w"]]:
        return [self.scores(part.view.of(rows)) for part in self.parts if isinstance(part.view, View)]

    def _together(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c H W"]:
        total = torch.zeros(len(rows), *self.size, device=rows.device)
        for part in self.parts:
            found = part(rows, self.scores)
            total[:, : found.shape[1], : found.shape[2]] += found
        return total


@lru_cache(maxsize=8)
def _resizer(size: int, grid: int) -> Float[Tensor, "size grid"]:
    """The matrix that resizes one axis of a grid to `size` pixels (bilinear)."""
    return F.interpolate(torch.eye(grid)[None], size=size, mode="linear", align_corners=False)[0].T
