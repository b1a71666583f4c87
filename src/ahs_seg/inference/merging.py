"""Merging of the outputs of a method for the views of one image into score maps, as the method says (`Merging`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jaxtyping import Float, Int
from torch import Tensor

from ahs_seg.inference.mask_scores import MaskScores, MaskView
from ahs_seg.inference.score_maps import (
    AnyView,
    ScoreFunction,
    ScoreMaps,
    View,
    WholeScores,
    candidates,
)
from ahs_seg.inference.softmax_scores import RefinedMaps, SoftmaxScores
from ahs_seg.inference.window_scores import WindowScores, unchanged
from ahs_seg.inference.windows import ImageWindows, SlidingWindows, WholeImage, WindowGrid
from ahs_seg.methods.base import Method


def merged(
    views: Sequence[AnyView],
    method: Method,
    rows: int,
    *,
    windows: WholeImage | SlidingWindows | ImageWindows,
    grid: WindowGrid | None,
    size: tuple[int, int],
    image: Callable[[], Float[Tensor, "3 H W"]],
    memory_bytes: int,
) -> tuple[Int[Tensor, " c"], ScoreMaps]:
    """The text rows (of `rows`) that some view kept, and their score maps at `size` in pixels.

    `grid` are the positions of the views, None for one view of the whole image; a view of the whole image is the last.
    `image` gives the image at `size` (RGB in [0, 1]).
    """
    found, merging = candidates(views, rows), method.merging
    maps = _maps(views, unchanged if merging.softmax else method.scores, windows, grid, size)
    if not merging.softmax:
        return found, maps
    if merging.refine is not None:
        maps = RefinedMaps(maps, image().to(found.device), merging.refine)
    return found, SoftmaxScores(maps, found, size, memory_bytes)


def _maps(
    views: Sequence[AnyView],
    scores: ScoreFunction,
    windows: WholeImage | SlidingWindows | ImageWindows,
    grid: WindowGrid | None,
    size: tuple[int, int],
) -> ScoreMaps:
    if grid is None:
        view = views[0]
        if isinstance(view, MaskView):
            return MaskScores(view, size)
        assert isinstance(view, View)
        return WholeScores(view, scores, size)
    return WindowScores(
        windows=views[: len(grid.corners)],
        whole=views[-1] if len(views) > len(grid.corners) else None,
        scores=scores,
        corners=grid.corners,
        window=grid.window,
        coarse_size=grid.canvas,
        size=size,
        score_last=isinstance(windows, ImageWindows),
    )
