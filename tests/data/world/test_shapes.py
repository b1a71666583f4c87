"""Shapes fill a fair part of their circle."""

import numpy as np
import pytest

from ahs_seg.data.world.canvas import draw, place
from ahs_seg.data.world.names import Thing
from ahs_seg.data.world.shapes import OUTLINES


@pytest.mark.parametrize("shape", OUTLINES)
def test_every_shape_covers_a_fair_part_of_its_circle(shape):
    image = np.zeros((64, 64, 3), np.float32)
    rng = np.random.default_rng(0)
    drawn = draw(image, place(Thing("red", "plain", shape), 32.0, 32.0, 20.0, rng, hard=0.0))
    assert drawn is not None
    _, opacity = drawn
    assert 0.25 < float(opacity.sum()) / (np.pi * 20**2) < 1.0
    assert opacity[[0, -1]].max() == opacity[:, [0, -1]].max() == 0  # nothing is cut off by the box
