from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ahs_seg.io.blocks import blocks
from ahs_seg.output import palette
from ahs_seg.output.palette import borders, by_area, enlarge, overlay, render_labels
from ahs_seg.types import IGNORE

COLOURS = {0: (200, 30, 30), 1: (30, 30, 200), 2: (30, 200, 30)}
LABELS = np.array([[0, 0, 0], [0, 5, IGNORE]])


def test_labels_come_by_area_of_the_first_map():
    assert by_area(LABELS) == [0, 5]
    assert by_area(np.array([[3, 5]]), np.array([[7, 7]])) == [3, 5, 7]


def test_paint_and_overlay_mix_brightness_and_colour():
    colours = {0: (200, 0, 0), 5: (0, 0, 200)}
    assert render_labels(LABELS, colours)[1].tolist() == [[200, 0, 0], [0, 0, 200], [128, 128, 128]]
    image = np.full((2, 3, 3), (100, 100, 100), np.uint8)
    tinted = overlay(image, LABELS, colours, strength=0.5)
    assert tinted[0, 0].tolist() == [150, 50, 50]
    assert tinted[1, 2].tolist() == [100, 100, 100]
    assert (tinted[0, 1] < [150, 50, 50]).all()
    assert np.array_equal(overlay(image, np.full((2, 3), IGNORE), {}), image)


def test_overlay_of_another_image_is_refused():
    with pytest.raises(ValueError, match="labels are 3x2, the image 4x2"):
        overlay(np.zeros((2, 4, 3), np.uint8), LABELS, {})


def test_borders_lie_at_the_left_or_upper_pixel():
    assert borders(LABELS).tolist() == [[False, True, True], [True, True, False]]


def test_small_images_are_enlarged_pixel_by_pixel():
    large = enlarge(LABELS, least=4)
    assert large.shape == (4, 6)
    assert (large[::2, ::2] == LABELS).all()
    assert enlarge(large, least=4) is large


@given(hnp.arrays(np.int64, (5, 6), elements=st.integers(-1, 700)))
def test_any_labels_can_be_drawn(labels):
    image = np.zeros((5, 6, 3), np.uint8)
    tinted = overlay(image, labels, dict.fromkeys(by_area(labels), (90, 60, 30)), strength=1.0)
    assert set(np.unique(tinted)) <= {0, 30, 60, 90, 16, 33, 50}  # unknown, labelled, and contours


def test_strips_are_enlarged_as_far_as_their_long_side_allows():
    for size, expected in {(1, 3000): (1, 3000), (20, 900): (80, 3600), (3000, 2): (3000, 2)}.items():
        assert enlarge(np.zeros(size, int)).shape == expected


def test_the_blocks_of_an_overlay_do_not_show(monkeypatch):
    rng = np.random.default_rng(0)
    image, labels = rng.integers(0, 256, (30, 50, 3), dtype=np.uint8), rng.integers(-1, 3, (30, 50))
    whole = overlay(image, labels, COLOURS), by_area(labels)
    for pixels in (7, 64, 1000):
        monkeypatch.setattr(palette, "blocks", partial(blocks, pixels=pixels))
        assert np.array_equal(overlay(image, labels, COLOURS), whole[0])
        assert by_area(labels) == whole[1]
