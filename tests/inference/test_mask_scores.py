"""Scores of mask proposals equal the plain formula, in bands, for few text rows at a time and for winners only."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.inference.mask_scores import BLOCK, MaskScores, MaskView, mask_views
from ahs_seg.inference.score_maps import best_rows
from ahs_seg.inference.window_scores import WindowScores
from ahs_seg.types import MaskProposals
from tests.support.score_maps import LargestTensor


def view_of(queries: int, rows: int, *, grid=(12, 16), padded_size=(48, 64), size=(41, 57), seed: int = 0) -> MaskView:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, queries, 3, 4, generator=generator)
    masks = 8 * F.interpolate(coarse, grid, mode="bicubic")[0] - 1
    classes = (4 * torch.randn(queries, rows + 1, generator=generator)).softmax(-1)[:, :-1]
    return MaskView(masks, classes, padded_size, size)


def plain(view: MaskView, size: tuple[int, int]) -> Tensor:
    """All masks and all rows at once."""
    framed = F.interpolate(view.masks[None], view.padded_size, mode="bilinear", align_corners=False)
    image = framed[..., : view.size[0], : view.size[1]]
    if view.resized == "sigmoids":
        masks = F.interpolate(image.sigmoid(), size, mode="bilinear", align_corners=False)[0]
    else:
        masks = F.interpolate(image, size, mode="bilinear", align_corners=False)[0].sigmoid()
    return torch.einsum("qt,qhw->thw", view.classes, masks) / masks.sum(0).clamp(min=1)


@pytest.mark.parametrize("size", [(41, 57), (48, 64), (100, 70), (12, 16), (1, 1), (3, 200)])
def test_scores_are_the_weighted_mean_over_masks(size: tuple[int, int]) -> None:
    view = view_of(7, 5)
    expected = plain(view, size)
    torch.testing.assert_close(MaskScores(view, size)(torch.tensor([4, 0, 2])), expected[[4, 0, 2]])
    assert ((expected >= 0) & (expected <= 1)).all()
    assert (expected.sum(0) <= 1 + 1e-6).all()


@pytest.mark.parametrize("image", [(48, 64), (17, 64), (48, 1)])
def test_the_padding_of_the_frame_is_cut_off(image: tuple[int, int]) -> None:
    view = view_of(4, 3, size=image)
    torch.testing.assert_close(MaskScores(view, (30, 40))(torch.arange(3)), plain(view, (30, 40)))


@pytest.mark.parametrize("size", [(41, 57), (100, 70), (5, 3)])
def test_sigmoids_may_be_resized_instead_of_logits(size: tuple[int, int]) -> None:
    view = dataclasses.replace(view_of(7, 5), resized="sigmoids")
    expected = plain(view, size)
    torch.testing.assert_close(MaskScores(view, size)(torch.arange(5)), expected)
    band = torch.cat([view.masks_at(size, top, min(top + 2, size[0])) for top in range(0, size[0], 2)], 1)
    torch.testing.assert_close(band, view.masks_at(size))


@pytest.mark.parametrize("memory_bytes", [1, 30_000, 10**9])
@pytest.mark.parametrize("size", [(41, 57), (100, 70), (5, 3)])
def test_labels_are_those_of_everything_at_once(size: tuple[int, int], memory_bytes: int) -> None:
    view = view_of(20, 60)
    labels, scores = best_rows(MaskScores(view, size), torch.arange(60), memory_bytes=memory_bytes)
    expected = plain(view, size)
    torch.testing.assert_close(scores, expected.amax(0))
    top = expected.topk(2, 0).values
    clear = top[0] - top[1] > 1e-6
    assert torch.equal(labels[clear], expected.argmax(0).int()[clear])
    assert clear.float().mean() > 0.99


def test_only_some_rows_may_be_asked_for_and_the_first_of_equals_wins() -> None:
    view = view_of(6, 4)
    twice = MaskView(view.masks, view.classes[:, [3, 1, 1, 0]], view.padded_size, view.size)
    labels, _ = best_rows(MaskScores(twice, (41, 57)), torch.tensor([1, 2, 3]), memory_bytes=10**6)
    assert set(labels.unique().tolist()) <= {1, 3}


def test_most_rows_are_left_out_where_masks_are_even() -> None:
    view = view_of(20, 400, grid=(40, 40), padded_size=(160, 160), size=(160, 160))
    bands = list(MaskScores(view, (160, 160)).bands(torch.arange(400), 10**6))
    assert sum(len(rows) for _, rows in bands) < 0.5 * 400 * len(bands)


def test_memory_does_not_grow_with_the_rows() -> None:
    largest = {}
    for rows in (10, 500):
        view = view_of(10, rows)
        with LargestTensor() as watch:
            best_rows(MaskScores(view, (200, 300)), torch.arange(rows), memory_bytes=400_000)
        largest[rows] = watch.largest
    assert largest[500] <= 2 * 10 * 200 * 300 / 2
    assert largest[500] <= max(largest[10], 500 * 10 * 60)


def test_windows_average_the_scores_of_proposals() -> None:
    views = [view_of(5, 4, seed=seed, size=(48, 64)) for seed in range(3)]
    maps = WindowScores(views[:2], views[2], torch.exp, [(0, 0), (0, 32)], (48, 64), (48, 96), (48, 96))
    expected, count = torch.zeros(4, 48, 96), torch.zeros(48, 96)
    for view, left in zip(views[:2], (0, 32), strict=True):
        expected[..., left : left + 64] += plain(view, (48, 64))
        count[:, left : left + 64] += 1
    whole = F.interpolate(plain(views[2], (48, 64))[None], (48, 96), mode="bilinear")[0]
    torch.testing.assert_close(maps(torch.arange(4)), (expected / count + whole) / 2, atol=1e-6, rtol=1e-4)


def test_a_batch_is_taken_apart() -> None:
    one, other = view_of(5, 4), view_of(5, 4, seed=1)
    masks, classes = torch.stack([one.masks, other.masks]), torch.stack([one.classes, other.classes])
    views = mask_views(MaskProposals(masks, classes, (48, 64), (41, 57)))
    assert torch.equal(views[1].masks, other.masks)
    assert torch.equal(views[0].classes, one.classes)
    assert views[0].kept_rows is None


@pytest.mark.parametrize("blocks", [1, 3])
def test_bands_are_as_high_as_half_of_the_memory_allows(blocks: int) -> None:
    view, height, width = view_of(7, 5), 16 * BLOCK, 57
    block_bytes = 4 * 7 * width * BLOCK
    heights = [
        len(band.masks[0])
        for band, _ in MaskScores(view, (height, width)).bands(torch.arange(5), 2 * blocks * block_bytes)
    ]
    assert heights[0] == blocks * BLOCK
    assert sum(heights) == height
