from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ahs_seg.output.region_names import LARGE, MOST, place_names
from ahs_seg.types import IGNORE


def size_of(text: str) -> tuple[int, int]:
    return 12, 7 * len(text)


def centre(box: tuple[int, int, int, int]) -> tuple[float, float]:
    return (box[1] + box[3]) / 2, (box[0] + box[2]) / 2


def test_a_name_stands_at_the_point_farthest_from_the_edge():
    labels = np.full((100, 200), IGNORE)
    labels[45:55, 20:180] = 4  # a bar, and at its left end
    labels[20:80, 20:80] = 4  # a square: an L would have its mean outside
    (one,) = place_names(labels, {4: "bed"}, size_of)
    assert (one.label, one.text) == (4, "bed")
    row, column = centre(one.box)
    assert abs(row - 50) < 2
    assert abs(column - 50) < 2


def test_each_large_part_of_a_class_has_its_name_and_small_ones_have_none():
    labels = np.zeros((100, 200), int)
    labels[:, 60:140] = 1
    labels[40:46, 90:96] = 2
    placed = place_names(labels, {0: "sky", 1: "road", 2: "cup"}, size_of)
    assert sorted(one.text for one in placed) == ["road", "sky", "sky"]


def test_without_room_there_is_no_name():
    assert place_names(np.zeros((8, 300), int), {0: "sky"}, size_of) == []
    assert place_names(np.zeros((300, 8), int), {0: "sky"}, size_of) == []
    assert place_names(np.zeros((1, 1), int), {0: "sky"}, size_of) == []


def test_where_the_pole_is_taken_the_name_moves():
    labels = np.zeros((120, 400), int)
    labels[40:80, 190:210] = 1  # narrow, in the middle of class 0
    placed = place_names(labels, {0: "a", 1: "a very wide name"}, size_of)
    assert [one.label for one in placed] == [0, 1]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(20, 900), st.integers(20, 900))
def test_names_never_overlap_and_never_leave_the_image(seed: int, classes: int, height: int, width: int):
    rng = np.random.default_rng(seed)
    cell = int(rng.integers(1, 120))
    coarse = rng.integers(-1, classes, (-(-height // cell), -(-width // cell)))
    labels = coarse.repeat(cell, 0).repeat(cell, 1)[:height, :width]
    placed = place_names(labels, {k: "word " * (1 + k % 4) for k in range(classes)}, size_of)
    assert len(placed) <= MOST
    for one in placed:
        left, top, right, bottom = one.box
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        row, column = centre(one.box)
        assert (
            labels[max(0, int(row) - 8) : int(row) + 9, max(0, int(column) - 8) : int(column) + 9] == one.label
        ).any()
        assert (labels == one.label).mean() >= 0.5 * LARGE
    for first, second in combinations([one.box for one in placed], 2):
        across = first[2] <= second[0] or second[2] <= first[0]
        assert across or first[3] <= second[1] or second[3] <= first[1]
