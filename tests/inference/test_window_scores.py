"""Merging of windows: the rows that are left out change nothing, not even the last bit."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ahs_seg.inference import regions
from ahs_seg.inference.contests import Rivals
from ahs_seg.inference.score_maps import View, best_rows, candidates
from ahs_seg.inference.top_k import best_classes
from ahs_seg.inference.window_scores import WindowScores, unchanged
from ahs_seg.inference.windows import ImageWindows, SlidingWindows
from tests.support.score_maps import LargestTensor

FILLS = ("noise", "whole numbers", "a peak", "one class everywhere", "far apart", "all equal", "all negative")

SCORES: tuple[Callable[[Tensor], Tensor], ...] = (torch.sigmoid, torch.exp, unchanged)


def logits_of(fill: str, shape: tuple[int, int, int], draw: torch.Generator) -> Tensor:
    noise = torch.randn(shape, generator=draw)
    if fill == "whole numbers":
        return noise.round()
    if fill == "a peak":
        index = int(torch.randint(noise.numel(), (1,), generator=draw))
        return (torch.arange(noise.numel()).reshape(shape) == index) * 30.0 + 0.01 * noise
    if fill == "one class everywhere":
        return noise + 8.0 * (torch.arange(shape[0]) == shape[0] // 2)[:, None, None]
    if fill == "far apart":
        return noise * 1e4
    if fill == "all equal":
        return torch.zeros(shape)
    return noise - 60 if fill == "all negative" else noise


def merged(number: int) -> tuple[WindowScores, Tensor, int]:
    """Windows with logits that are hard to tell apart, the text rows, and the number of them."""
    pick, draw = random.Random(number), torch.Generator().manual_seed(number)
    size = pick.randint(1, 30), pick.randint(1, 30)
    kernel = pick.randint(9, 20)
    windows: Any = ImageWindows(kernel=kernel, stride=pick.randint(7, kernel))
    if pick.random() < 0.6:
        side, kernel = pick.choice([(24, 16), (20, 11), (13, 5), (7, 7), (3, 2), (1, 1)])
        overlap, whole = pick.choice([0, 0.4]), pick.random() < 0.5
        windows = SlidingWindows(side=side, kernel=kernel, overlap=overlap, global_view=whole)
    grid = windows.grid(16, size)
    classes, fine = pick.randint(1, 9), (pick.randint(1, 9), pick.randint(1, 9))
    pruned, scores = pick.random() < 0.5, pick.choice(SCORES)
    views = []
    for _ in range(len(grid.corners) + windows.global_view):
        kept = torch.randperm(classes, generator=draw)[: 1 + classes // 2] if pruned else None
        logits = logits_of(pick.choice(FILLS), (classes if kept is None else len(kept), *fine), draw)
        views.append(View(-logits.abs() / 8 if scores is torch.exp else logits, kept))
    maps = WindowScores(
        views[: len(grid.corners)],
        views[-1] if windows.global_view else None,
        scores,
        tuple(grid.corners),
        grid.window,
        grid.canvas,
        pick.choice([size, grid.canvas]),
        score_last=pick.random() < 0.5,
    )
    return maps, candidates(views, classes), classes


def plain(maps: WindowScores, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Every row at full size, and the first of the best."""
    everything = maps(rows)
    best = everything.amax(0)
    return rows[(everything == best).int().argmax(0)].int(), best


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from([12, 4096]), st.sampled_from([1, 10**6]))
def test_rows_left_out_change_no_bit(number: int, side: int, memory_bytes: int) -> None:
    maps, rows, _ = merged(number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regions, "CPU_SIDE", side)
        regions.regions_of.cache_clear()
        regions.blocks_under.cache_clear()
        labels, scores = best_rows(maps, rows, memory_bytes=memory_bytes)
        expected = plain(maps, rows)
    regions.regions_of.cache_clear()
    regions.blocks_under.cache_clear()
    assert torch.equal(scores, expected[1])
    assert torch.equal(labels, expected[0])


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3))
def test_the_best_few_classes_are_those_of_all_rows(number: int, depth: int, rows_each: int) -> None:
    maps, rows, classes = merged(number)
    row_class = [row // rows_each for row in range(classes)]
    present = sorted({row_class[row] for row in rows.tolist()})
    depth = min(depth, len(present))
    labels, scores = best_classes(maps, rows, row_class, depth=depth, memory_bytes=10**6)
    every = maps(rows)
    of = torch.tensor(row_class)[rows]
    held = torch.stack([every[of == one].amax(0) for one in present])
    order = held.sort(stable=True, dim=0, descending=True)
    assert torch.equal(scores, order.values[:depth])
    assert torch.equal(labels, torch.tensor(present, dtype=torch.int32)[order.indices[:depth]])


def smooth(classes: int, seed: int) -> WindowScores:
    """Windows that show parts of one scene, in which three classes are far ahead of the others."""
    draw = torch.Generator().manual_seed(seed)
    scene = F.interpolate(torch.randn(1, classes, 4, 4, generator=draw), (20, 20), mode="bicubic")[0]
    scene[:3] += 2
    scene[3:] -= 4
    corners = [(top, left) for top in (0, 16) for left in (0, 16)]
    cut = [View(scene[:, top // 2 : top // 2 + 12, left // 2 : left // 2 + 12], None) for top, left in corners]
    whole = View(F.interpolate(scene[None], (12, 12), mode="bilinear")[0], None)
    return WindowScores(cut, whole, torch.sigmoid, tuple(corners), (24, 24), (40, 40), (50, 70))


def test_few_rows_are_resized_where_windows_agree() -> None:
    maps = smooth(40, 0)
    contested = maps.contested(torch.arange(40), Rivals(), 10**6)
    assert contested is not None
    assert contested.any(1).sum() <= 5


def test_scores_are_the_means_of_windows_that_are_resized_by_interpolate() -> None:
    maps, rows = smooth(6, 1), torch.arange(6)
    total, count = np.zeros((6, 40, 40)), np.zeros((40, 40))
    for view, (top, left) in zip(maps.windows, maps.corners, strict=True):
        assert isinstance(view, View)
        total[:, top : top + 24, left : left + 24] += (
            F.interpolate(view.logits[None], (24, 24), mode="bilinear")[0].sigmoid().numpy()
        )
        count[top : top + 24, left : left + 24] += 1
    assert isinstance(maps.whole, View)
    whole = F.interpolate(maps.whole.logits[None], (24, 24), mode="bilinear").sigmoid()
    canvas = (torch.from_numpy(total / count)[None].float() + F.interpolate(whole, (40, 40), mode="bilinear")) / 2
    expected = F.interpolate(canvas, (50, 70), mode="bilinear")[0]
    torch.testing.assert_close(maps(rows), expected, rtol=0, atol=1e-6)
    labels, _ = best_rows(maps, rows, memory_bytes=10**6)
    assert torch.equal(labels, expected.argmax(0).int())


def test_memory_does_not_grow_with_the_classes() -> None:
    largest = []
    for classes in (4, 200):
        maps = smooth(classes, 2)
        with LargestTensor() as watch:
            best_rows(maps, torch.arange(classes), memory_bytes=2 * maps.row_bytes)
        largest.append(watch.largest)
    assert largest[1] <= max(2 * 50 * 70, 200 * 20 * 20)
