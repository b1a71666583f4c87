"""Scores of sliding windows, averaged on a canvas and resized to the size of the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ahs_seg.inference.contests import Rivals, at_full_size
from ahs_seg.inference.regions import Combine, contested_regions
from ahs_seg.inference.score_maps import FLOAT_BYTES, AnyView, ScoreFunction, View, resize_maps
from ahs_seg.inference.window_bounds import BlockPlan, Geometry, block_plan, merged_bounds


def unchanged(logits: Tensor) -> Tensor:
    """The logits themselves, where scores follow after merging."""
    return logits


@dataclass(frozen=True)
class WindowScores:
    """Scores of sliding windows averaged on a canvas, and averaged with the view of the whole image if there is one.

    Logits are resized to the window and converted to scores. Source: CAT-Seg, sliding-window inference. With
    `score_last`, logits are averaged, and converted to scores at full image size. Source: MMSegmentation, `slide` mode.
    """

    windows: Sequence[AnyView]
    whole: AnyView | None
    scores: ScoreFunction
    corners: Sequence[tuple[int, int]]
    window: tuple[int, int]
    coarse_size: tuple[int, int]
    size: tuple[int, int]
    score_last: bool = False

    @property
    def row_bytes(self) -> int:
        """Bytes of two windows, three canvases and one map at full image size (two with `score_last`)."""
        canvas = 3 * prod(self.coarse_size)
        return FLOAT_BYTES * (2 * prod(self.window) + canvas + (1 + self.score_last) * prod(self.size))

    def __call__(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c H W"]:
        """The scores of the given text rows."""
        return at_full_size(self, rows, together=any(not isinstance(view, View) for view in self.windows))

    def coarse(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c h w"]:
        """The canvas of the given text rows: scores, or logits with `score_last`."""
        canvas = torch.zeros(len(rows), *self.coarse_size, device=rows.device)
        height, width = self.window
        for view, (top, left) in zip(self.windows, self.corners, strict=True):
            place = (..., slice(top, top + height), slice(left, left + width))
            canvas[place] += self._window(view, rows)
        canvas /= self._count
        if self.whole is not None:
            canvas += resize_maps(self._window(self.whole, rows), self.coarse_size)
            canvas /= 2
        return canvas

    def finished(self, maps: Float[Tensor, "*c h w"]) -> Float[Tensor, "*c h w"]:
        """The scores from the resized canvas."""
        return self.scores(maps) if self.score_last else maps

    def contested(self, rows: Int[Tensor, " c"], rivals: Rivals, memory_bytes: int) -> Bool[Tensor, "c r"] | None:
        """For each text row, the regions of the image in which it can be among the best (`window_bounds`); usually few.

        None for views with mask proposals.
        """
        plan = self._plan(rows.device)
        if plan is None:
            return None
        grid = [view.logits[0].numel() for view in (*self.windows, self.whole) if isinstance(view, View)]
        parts = torch.split(rows, max(1, memory_bytes // (FLOAT_BYTES * (2 * sum(grid) + 4 * plan.count.numel()))))
        bar = rivals.bar(self._bounds(plan, parts, torch.minimum), plan.most)
        contested = (
            contested_regions(~(upper < bar), plan.starts, self.coarse_size, self.size)
            for _, upper in self._bounds(plan, parts, torch.maximum)
        )
        return torch.cat(list(contested))

    @cached_property
    def _count(self) -> Float[Tensor, "h w"]:
        """The number of windows at every pixel of the canvas."""
        count = torch.zeros(self.coarse_size, device=self.windows[0].device)
        height, width = self.window
        for top, left in self.corners:
            count[top : top + height, left : left + width] += 1
        return count

    def _plan(self, device: torch.device) -> BlockPlan | None:
        views = [*self.windows, *([] if self.whole is None else [self.whole])]
        grids = [(view.logits.shape[-2], view.logits.shape[-1]) for view in views if isinstance(view, View)]
        if len(grids) < len(views) or len(set(grids[: len(self.windows)])) > 1:
            return None
        whole = None if self.whole is None else grids[-1]
        return block_plan(Geometry(tuple(self.corners), self.window, self.coarse_size, grids[0], whole), device)

    def _bounds(
        self, plan: BlockPlan, parts: Sequence[Int[Tensor, " _"]], combine: Combine
    ) -> Iterator[tuple[Int[Tensor, " _"], Float[Tensor, "_ i j"]]]:
        for rows in parts:
            views = [view.of(rows) for view in (*self.windows, self.whole) if isinstance(view, View)]
            whole = None if self.whole is None else views[-1]
            scores = unchanged if self.score_last else self.scores
            yield rows, self.finished(merged_bounds(plan, views[: len(self.windows)], whole, scores, combine))

    def _window(self, view: AnyView, rows: Int[Tensor, " c"]) -> Float[Tensor, "c h w"]:
        logits = view.logits_at(rows, self.window)
        return logits if self.score_last else self.scores(logits)
