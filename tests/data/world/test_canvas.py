"""Objects on a canvas."""

import numpy as np

from ahs_seg.data.world.canvas import draw, place
from ahs_seg.data.world.names import Thing


def test_an_object_outside_is_not_drawn():
    image = np.zeros((16, 16, 3), np.float32)
    assert draw(image, place(Thing("red", "plain", "star"), -90.0, 5.0, 8.0, np.random.default_rng(0))) is None
    assert image.max() == 0
