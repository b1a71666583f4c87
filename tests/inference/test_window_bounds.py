"""Blocks under windows, and bounds worked out by hand."""

import torch

from ahs_seg.inference.window_bounds import Geometry, block_plan, lower_bounds, upper_bounds

CPU = torch.device("cpu")
TWO = Geometry(((0, 0), (0, 4)), (1, 8), (1, 12), (1, 8), None)
"""Two windows of 8 pixels on 12, which share the four in the middle."""


def unscored(values: torch.Tensor) -> torch.Tensor:
    return values


def test_blocks_end_where_windows_do() -> None:
    plan = block_plan(TWO, CPU)
    assert plan.starts == ((0,), (0, 4, 8))
    assert plan.count.tolist() == [[2, 2, 2]], "each block shares its last pixel with the next one"
    assert plan.steady.tolist() == [[False, True, False]]
    assert plan.most == 2


def test_bounds_are_means_where_both_windows_cover_a_block_and_extremes_elsewhere() -> None:
    plan = block_plan(TWO, CPU)
    left, right = torch.arange(8.0).reshape(1, 1, 8), torch.full((1, 1, 8), 10.0)
    upper, lower = (bounds(plan, [left, right], None, unscored)[0, 0] for bounds in (upper_bounds, lower_bounds))
    torch.testing.assert_close(upper, torch.tensor([10.0, 8.5, 10.0]), rtol=0, atol=1e-3)
    torch.testing.assert_close(lower, torch.tensor([0.0, 7.0, 7.0]), rtol=0, atol=1e-3)
    assert bool((upper >= torch.tensor([10.0, 8.5, 10.0])).all())
    assert bool((lower <= torch.tensor([0.0, 7.0, 7.0])).all())


def test_the_view_of_the_whole_has_half_of_the_weight() -> None:
    plan = block_plan(Geometry(((0, 0),), (1, 8), (1, 8), (1, 8), (1, 1)), CPU)
    one, four = torch.ones(1, 1, 8), torch.full((1, 1, 1), 4.0)
    torch.testing.assert_close(upper_bounds(plan, [one], four, unscored), torch.full((1, 1, 2), 2.5), rtol=0, atol=1e-3)
