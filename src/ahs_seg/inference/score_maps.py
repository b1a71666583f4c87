"""The text row with the highest score at every pixel, from the logits of one or several views of an image.

The scores of all text rows at full image size would take gigabytes. Only a few rows at a time are resized to full size,
and a running maximum is kept; the labels equal those of resizing all rows and taking the argmax.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ahs_seg.inference.contests import RegionalScores, Rivals, at_full_size, best_of_regions
from ahs_seg.inference.regions import contested_regions
from ahs_seg.types import PRUNED_LOGIT

FLOAT_BYTES = 4
ROUNDING = 1e-6
"""Upper bound of the rounding error of resizing scores in [0, 1]."""
ScoreFunction = Callable[[Tensor], Tensor]
"""Elementwise function of a method from logits to scores in [0, 1]."""


@runtime_checkable
class AnyView(Protocol):
    """Output of a method for one view of an image, with logits for the text rows in `kept_rows`."""

    @property
    def kept_rows(self) -> Int[Tensor, " k"] | None:
        """The text rows that have logits (None: all)."""

    @property
    def device(self) -> torch.device:
        """The device of its tensors."""

    def logits_at(self, rows: Int[Tensor, " c"], size: tuple[int, int]) -> Float[Tensor, "c H W"]:
        """Logits of the given text rows at a size in pixels; `PRUNED_LOGIT` for rows that were not kept."""


@dataclass(frozen=True, slots=True)
class View:
    """Logits of one view at the resolution of the method, for the text rows in `kept_rows` (None: all)."""

    logits: Float[Tensor, "k h w"]
    kept_rows: Int[Tensor, " k"] | None

    @property
    def device(self) -> torch.device:
        """The device of the logits."""
        return self.logits.device

    def of(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c h w"]:
        """Logits of the given text rows at the method's resolution; `PRUNED_LOGIT` for rows that were not kept."""
        if self.kept_rows is None:
            return self.logits[rows].float()
        equal = rows[:, None] == self.kept_rows
        found = self.logits[equal.int().argmax(1)].float()
        return torch.where(equal.any(1)[:, None, None], found, PRUNED_LOGIT)

    def logits_at(self, rows: Int[Tensor, " c"], size: tuple[int, int]) -> Float[Tensor, "c H W"]:
        """Logits of the given text rows, resized (bilinear) to a size in pixels."""
        return resize_maps(self.of(rows), size)


@runtime_checkable
class ScoreMaps(Protocol):
    """Score maps at full image size, computed on call for the given text rows."""

    @property
    def row_bytes(self) -> int:
        """Bytes of memory that the computation of one text row needs."""

    def __call__(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c H W"]:
        """The scores of the given text rows."""


@runtime_checkable
class BandedScores(ScoreMaps, Protocol):
    """Score maps that are cheaper to compute in horizontal bands, each with its own set of possible winners."""

    def bands(self, rows: Int[Tensor, " c"], memory_bytes: int) -> Iterable[tuple[ScoreMaps, Int[Tensor, " k"]]]:
        """Bands from top to bottom, each with the rows of `rows` (ascending) that can have the highest score in it."""


class RankedMaps(ScoreMaps, Protocol):
    """Maps whose order is that of the scores at every pixel, and the scores of values taken from them."""

    def scores(self, values: Float[Tensor, "*k H W"]) -> Float[Tensor, "*k H W"]:
        """The scores of such values, once the maps of all text rows have been computed."""


@runtime_checkable
class SharedScores(ScoreMaps, Protocol):
    """Scores that depend on the logits of all text rows, as a softmax does."""

    def ranked(self) -> RankedMaps:
        """What is compared in place of the scores, which rounding may make equal."""


@dataclass(frozen=True)
class WholeScores:
    """Scores of one view of the whole image: computed from the logits at the method's resolution, then resized."""

    view: View
    scores: ScoreFunction
    size: tuple[int, int]

    @property
    def row_bytes(self) -> int:
        """Bytes of three maps at the method's resolution and one at full image size."""
        return FLOAT_BYTES * (3 * self.view.logits[0].numel() + self.size[0] * self.size[1])

    @property
    def coarse_size(self) -> tuple[int, int]:
        """The size of the logits."""
        return self.view.logits.shape[-2], self.view.logits.shape[-1]

    def __call__(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c H W"]:
        """The scores of the given text rows."""
        return at_full_size(self, rows)

    def coarse(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c h w"]:
        """The scores of the given text rows before they are resized."""
        return self.scores(self.view.of(rows))

    def finished(self, maps: Float[Tensor, "*c h w"]) -> Float[Tensor, "*c h w"]:
        """The scores themselves."""
        return maps

    def contested(self, rows: Int[Tensor, " c"], rivals: Rivals, memory_bytes: int) -> Bool[Tensor, "c r"]:
        """For each text row, the regions of the image in which it can be among the best; usually few.

        Between four neighbours of the grid, a resized score lies between the minimum and the maximum of the four. A row
        whose maximum is below the minimum of another row in every such cell of a region never has the highest score.
        """
        height, width = self.coarse_size
        starts = tuple(range(max(1, height - 1))), tuple(range(max(1, width - 1)))
        parts = torch.split(rows, max(1, memory_bytes // (6 * FLOAT_BYTES * height * width)))
        bar = rivals.bar((some, _over_cells(self.coarse(some), torch.minimum)) for some in parts)
        return torch.cat(
            [
                contested_regions(
                    ~(_over_cells(self.coarse(some), torch.maximum) < bar), starts, (height, width), self.size
                )
                for some in parts
            ]
        )


def candidates(views: Sequence[AnyView], rows: int) -> Int[Tensor, " c"]:
    """The text rows, ascending, that can have the highest score: those kept by any view, and the first of the others.

    All other rows have the score of `PRUNED_LOGIT` at every pixel; the first of them suffices, since it wins every tie.
    """
    kept = [view.kept_rows for view in views if view.kept_rows is not None]
    device = views[0].device
    if len(kept) < len(views):
        return torch.arange(rows, device=device)
    unseen = torch.ones(rows, dtype=torch.bool, device=device)
    unseen[torch.cat(kept)] = False
    first = torch.nonzero(unseen)[:1, 0]
    unseen[first] = False
    return torch.nonzero(~unseen)[:, 0]


def best_rows(
    maps: ScoreMaps, rows: Int[Tensor, " c"], *, memory_bytes: int
) -> tuple[Int[Tensor, "H W"], Float[Tensor, "H W"]]:
    """The text row with the highest score at every pixel (the first one on ties), and that score.

    `rows` are in ascending order. As many are computed at a time as fit into `memory_bytes`, at least one.
    """
    if isinstance(maps, SharedScores):
        ranked = maps.ranked()
        labels, best = _best_rows(ranked, rows, memory_bytes)
        return labels, ranked.scores(best)
    if isinstance(maps, RegionalScores) and (found := best_of_regions(maps, rows, memory_bytes)) is not None:
        return found
    if isinstance(maps, BandedScores):
        parts = [_best_rows(band, some, memory_bytes) for band, some in maps.bands(rows, memory_bytes)]
        return torch.cat([labels for labels, _ in parts]), torch.cat([scores for _, scores in parts])
    return _best_rows(maps, rows, memory_bytes)


def _best_rows(
    maps: ScoreMaps, rows: Int[Tensor, " c"], memory_bytes: int
) -> tuple[Int[Tensor, "H W"], Float[Tensor, "H W"]]:
    best: Tensor | None = None
    names = iter(rows.tolist())
    for some in torch.split(rows, max(1, memory_bytes // maps.row_bytes)):
        for scores, row in zip(maps(some), names, strict=False):
            if best is None:
                best, labels = scores.clone(), torch.full_like(scores, row, dtype=torch.int32)
            else:
                labels.masked_fill_(scores > best, row)
                torch.maximum(best, scores, out=best)
    if best is None:
        raise ValueError("there are no classes to choose from; give the text embeddings of at least one class")
    return labels, best


def resize_maps(maps: Float[Tensor, "c h w"], size: tuple[int, int]) -> Float[Tensor, "c H W"]:
    """Maps resized to another size, bilinear without antialiasing (as in CAT-Seg)."""
    if maps.shape[-2:] == torch.Size(size):
        return maps
    return F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]


def _over_cells(maps: Float[Tensor, "c h w"], combine: Callable[[Tensor, Tensor], Tensor]) -> Float[Tensor, "c i j"]:
    """`combine` applied over every 2x2 neighbourhood of a grid (fewer values if the grid has a side of length 1)."""
    if maps.shape[1] > 1:
        maps = combine(maps[:, 1:], maps[:, :-1])
    return combine(maps[..., 1:], maps[..., :-1]) if maps.shape[2] > 1 else maps
