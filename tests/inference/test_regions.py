"""Regions of an image: any cut gives the values of the whole."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ahs_seg.inference import regions
from ahs_seg.inference.regions import contested_regions, over_ranges, ranges_on, regions_of, resize_by_regions


@pytest.mark.parametrize("grid", [(1, 1), (5, 9), (40, 30)])
@pytest.mark.parametrize("size", [(1, 3), (40, 30), (61, 97)])
def test_a_region_has_the_bits_of_the_whole(
    grid: tuple[int, int], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    maps = torch.randn(2, *grid)
    whole = resize_by_regions(maps, size, torch.abs)
    torch.testing.assert_close(whole, F.interpolate(maps[None], size, mode="bilinear")[0].abs(), rtol=0, atol=1e-5)
    monkeypatch.setattr(regions, "CPU_SIDE", 7)
    regions_of.cache_clear()
    cut = resize_by_regions(maps, size, torch.abs)
    assert len(regions_of(grid, size, maps.device)) == max(1, round(size[0] / 7)) * max(1, round(size[1] / 7))
    regions_of.cache_clear()
    assert torch.equal(cut, whole)


def test_an_axis_that_keeps_its_length_keeps_its_values() -> None:
    maps = torch.tensor([[[1.0, torch.inf], [2.0, 3.0]]])
    assert torch.equal(resize_by_regions(maps, (2, 2), torch.abs), maps)


def test_greatest_and_smallest_over_ranges() -> None:
    maps = torch.arange(12.0).reshape(1, 3, 4)
    down = ranges_on(maps.device, np.array([0, 2]), np.array([1, 2]))
    across = ranges_on(maps.device, np.array([0, 1, 3]), np.array([0, 3, 3]))
    assert over_ranges(maps, down, across).tolist() == [[[4, 7, 7], [8, 11, 11]]]
    assert over_ranges(maps, down, across, torch.minimum).tolist() == [[[0, 1, 3], [8, 9, 11]]]


def test_a_block_is_contested_where_a_pixel_is_mixed_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "CPU_SIDE", 20)
    regions_of.cache_clear()
    regions.blocks_under.cache_clear()
    blocks = torch.zeros(1, 1, 4, dtype=torch.bool)
    blocks[..., 1] = True  # inputs 2 to 4 of 8, outputs 10 to 20 of 40 and those that lie between
    found = contested_regions(blocks, ((0,), (0, 2, 4, 6)), (1, 8), (1, 40))
    regions_of.cache_clear()
    regions.blocks_under.cache_clear()
    assert found.tolist() == [[True, True]]
