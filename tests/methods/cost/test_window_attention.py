"""Window attention: windows see themselves only, and a shifted one does not see across the edge of the image."""

import pytest
import torch
from torch import Tensor

from ahs_seg.methods.cost.window_attention import SpatialAggregation, WindowBlock, shift_mask
from tests.support.tensors import randn
from tests.support.textbook import randomise


def block(shift: int) -> WindowBlock:
    torch.manual_seed(0)
    built = WindowBlock(8, 6, heads=2, window=4, shift=shift)
    randomise(built)
    return built.double()


def reach(module: WindowBlock, place: tuple[int, int]) -> set[tuple[int, int]]:
    """The places of an 8x8 grid on which the result at a place depends."""
    maps = randn(1, 1, 8, 8, 8).requires_grad_()
    terms = module.guide(randn(1, 1, 8, 8, 6, seed=1))
    (gradient,) = torch.autograd.grad(module(maps, terms)[0, 0, place[0], place[1]].sum(), maps)
    found = (gradient[0, 0].abs().amax(-1) > 1e-12).nonzero()
    return {(int(row), int(column)) for row, column in found}


def square(rows: range, columns: range) -> set[tuple[int, int]]:
    return {(row, column) for row in rows for column in columns}


def test_a_place_sees_its_window_and_nothing_else() -> None:
    assert reach(block(0), (1, 6)) == square(range(4), range(4, 8))


@pytest.mark.parametrize(
    ("place", "rows", "columns"),
    [
        ((3, 4), range(2, 6), range(2, 6)),  # in the middle the window is moved by two
        ((0, 0), range(2), range(2)),  # what the roll brings together from opposite edges is kept apart
        ((7, 1), range(6, 8), range(2)),
        ((1, 3), range(2), range(2, 6)),
    ],
)
def test_a_shifted_window_does_not_wrap_around(place: tuple[int, int], rows: range, columns: range) -> None:
    assert reach(block(2), place) == square(rows, columns)


def test_the_mask_by_hand() -> None:
    like = torch.zeros(())
    assert shift_mask((4, 4), 2, 0, like=like) is None
    mask = shift_mask((2, 2), 2, 1, like=like)
    assert mask is not None
    assert mask.tolist() == [[[0.0 if i == j else -100.0 for j in range(4)] for i in range(4)]]


def test_classes_do_not_see_each_other() -> None:
    module = block(2)
    maps, terms = randn(2, 3, 8, 4, 8), module.guide(randn(2, 1, 8, 4, 6, seed=1))
    together = module(maps, terms)
    for index in range(3):
        torch.testing.assert_close(together[:, index : index + 1], module(maps[:, index : index + 1], terms))


def test_both_blocks_act_and_the_second_is_shifted_by_half_a_window() -> None:
    torch.manual_seed(0)
    spatial = SpatialAggregation(8, 6, heads=2, window=4).double()
    randomise(spatial)
    assert (spatial.plain.shift, spatial.shifted.shift) == (0, 2)
    maps, appearance = randn(1, 2, 8, 8, 8), randn(1, 6, 8, 8, seed=1)
    terms = spatial.guide(appearance)
    expected: Tensor = spatial.shifted(spatial.plain(maps, terms[0]), terms[1])
    torch.testing.assert_close(spatial(maps, terms), expected)
    other = spatial.guide(appearance + randn(1, 6, 8, 8, seed=2))
    assert not torch.allclose(spatial(maps, other), expected)
    normed = spatial(maps, spatial.guide(3 * appearance + 1))  # length and mean of the guidance do not count
    torch.testing.assert_close(normed, expected, rtol=1e-2, atol=1e-4)


def test_a_grid_that_the_window_does_not_divide_is_refused() -> None:
    module = block(0)
    with pytest.raises(ValueError, match=r"grid is 8x6.*multiples of window=4"):
        module(randn(1, 1, 8, 6, 8), module.guide(randn(1, 1, 8, 6, 6)))
