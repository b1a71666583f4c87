"""Blocks under windows, and bounds worked out by hand."""

import torch

from ahs_seg.inference.window_bounds import Geometry, block_plan, merged_bounds

CPU = torch.device("cpu")
TWO = Geometry(((0, 0), (0, 8)), (1, 16), (1, 24), (1, 16), None)
"""Two windows of 16 pixels on 24, which share the eight in the middle."""


def unscored(values: torch.Tensor) -> torch.Tensor:
    return values


def test_blocks_end_where_windows_do() -> None:
    plan = block_plan(TWO, CPU)
    assert plan.starts == ((0,), (0, 4, 8, 12, 16, 20))
    assert plan.count.tolist() == [[1, 2, 2, 2, 1, 1]], "each block shares its last pixel with the next one"
    assert plan.steady.tolist() == [[True, False, True, False, True, True]]
    assert plan.most == 2


def test_bounds_are_means_where_both_windows_cover_a_block_and_extremes_where_one_ends() -> None:
    plan = block_plan(TWO, CPU)
    left, right = torch.arange(16.0).reshape(1, 1, 16), torch.full((1, 1, 16), 10.0)
    upper, lower = (
        merged_bounds(plan, [left, right], None, unscored, combine)[0, 0] for combine in (torch.maximum, torch.minimum)
    )
    greatest, least = torch.tensor([4.0, 10, 11, 15, 10, 10]), torch.tensor([0.0, 4, 9, 10, 10, 10])
    torch.testing.assert_close(upper, greatest, rtol=0, atol=1e-3)
    torch.testing.assert_close(lower, least, rtol=0, atol=1e-3)
    assert bool((upper >= greatest).all())
    assert bool((lower <= least).all())


def test_the_view_of_the_whole_has_half_of_the_weight() -> None:
    plan = block_plan(Geometry(((0, 0),), (1, 8), (1, 8), (1, 8), (1, 1)), CPU)
    one, four = torch.ones(1, 1, 8), torch.full((1, 1, 1), 4.0)
    upper = merged_bounds(plan, [one], four, unscored, torch.maximum)
    torch.testing.assert_close(upper, torch.full((1, 1, 2), 2.5), rtol=0, atol=1e-3)
