"""Grounds of any size."""

import numpy as np

from ahs_seg.data.world.stuff import crop


def test_ground_fills_any_size():
    assert crop("brick wall", 500, 30, np.random.default_rng(0)).shape == (500, 30, 3)
