from __future__ import annotations

import re

import numpy as np

from ahs_seg.experiments.report.regions import region_layer


def layer(labels, *names):
    words = dict(enumerate(names))
    return region_layer(labels, words, {label: f"the {name}" for label, name in words.items()})


def test_shapes_cover_their_class_and_names_lie_in_it():
    labels = np.zeros((100, 200), np.int64)
    labels[:, 120:] = 1
    found = layer(labels, "sky", "sea")
    assert (found.width, found.height, found.size) == (200, 100, 10)
    assert [shape.title for shape in found.shapes] == ["the sky", "the sea"]
    assert found.shapes[0].path == "M0,0 120,0 120,100 0,100Z"
    assert [(name.text, name.x < 120) for name in found.names] == [("sky", True), ("sea", False)]


def test_a_hole_is_a_ring_of_its_own_and_pixels_without_a_class_have_no_shape():
    labels = np.full((60, 60), -1)
    labels[5:55, 5:55] = 0
    labels[20:40, 20:40] = 1
    found = layer(labels, "lawn", "pond")
    assert [shape.path.count("M") for shape in found.shapes] == [2, 1]


def test_a_large_map_is_traced_on_a_coarse_grid():
    rows, columns = np.mgrid[:900, :1200]
    found = layer(((rows - 450) ** 2 + (columns - 600) ** 2 < 300**2).astype(np.int64), "ground", "disc")
    path = found.shapes[1].path
    points = np.array(re.findall(r"(\d+),(\d+)", path), float)
    assert len(path) < 2000
    assert abs(np.hypot(points[:, 0] - 600, points[:, 1] - 450) - 300).max() < 12


def test_a_name_too_wide_for_the_image_is_not_written():
    found = layer(np.zeros((40, 40), np.int64), "a name that is far wider than its image")
    assert found.names == ()
    assert len(found.shapes) == 1
