"""Guidance maps: which input each comes from, and at which resolution."""

import pytest
import torch

from ahs_seg.methods.cost.guidance import GuidancePyramid
from ahs_seg.types import ImageFeatures
from tests.support.tensors import dense


@pytest.fixture
def pyramid() -> GuidancePyramid:
    torch.manual_seed(0)
    return GuidancePyramid(6, 10, appearance_dim=5, upsampled_dims=(4, 3), decoder_dims=(7, 2))


def features(level_count: int = 2) -> ImageFeatures:
    levels = tuple(dense(2, 10, 3, 4, seed=1 + index) for index in range(level_count))
    return ImageFeatures(dense(2, 6, 3, 4), levels)


@torch.no_grad()
def test_maps_stand_at_the_grid_and_at_twice_and_four_times_its_size(pyramid: GuidancePyramid) -> None:
    guidance = pyramid(features())
    assert guidance.appearance.shape == (2, 5, 3, 4)
    assert guidance.fine.shape == (2, 7, 6, 8)
    assert guidance.finest.shape == (2, 2, 12, 16)
    for part in (guidance.appearance, guidance.fine, guidance.finest):
        assert part.min() == 0  # after ReLU
        assert part.max() > 0


@torch.no_grad()
def test_each_map_has_one_source(pyramid: GuidancePyramid) -> None:
    """Appearance comes of the dense map, the finer ones of the first and of the second level."""
    given = features()
    before = pyramid(given)
    for index, name in enumerate(("appearance", "fine", "finest")):
        sources = [given.dense, *given.levels]
        sources[index] = sources[index] + 1
        after = pyramid(ImageFeatures(sources[0], (sources[1], sources[2])))
        changed = {
            other
            for other in ("appearance", "fine", "finest")
            if not torch.equal(getattr(before, other), getattr(after, other))
        }
        assert changed == {name}


@torch.no_grad()
def test_a_cell_of_a_level_becomes_a_block_of_pixels(pyramid: GuidancePyramid) -> None:
    """Transposed convolutions as large as their stride: cells do not overlap."""
    level = torch.zeros(1, 10, 3, 4)
    level[0, :, 1, 2] = 1
    for upsample, side in ((pyramid.upsample_fine, 2), (pyramid.upsample_finest, 4)):
        moved = (upsample(level) - upsample(torch.zeros_like(level))).abs().amax((0, 1)) > 0
        expected = torch.zeros(3 * side, 4 * side, dtype=torch.bool)
        expected[side : 2 * side, 2 * side : 3 * side] = True
        assert torch.equal(moved, expected)


def test_another_number_of_levels_is_refused(pyramid: GuidancePyramid) -> None:
    with pytest.raises(ValueError, match="unpack"):
        pyramid(features(1))
