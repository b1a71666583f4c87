import numpy as np
import pytest

from ahs_seg.io.blocks import blocks


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (7, 9), (12, 4), (0, 5)])
def test_blocks_cover_every_pixel_once(size: tuple[int, int]) -> None:
    covered = np.zeros(size, int)
    for rows, columns in blocks(size, pixels=8):
        assert covered[rows, columns].size <= 8
        covered[rows, columns] += 1
    assert (covered == 1).all()
