import numpy as np
import pytest
from matplotlib.path import Path as Line
from scipy import ndimage

from ahs_seg.output.formats.polygons import Polygon, keyhole, mask_to_polygons, simplified
from tests.support.results import blobs
from tests.support.rings import winding


def filled(polygons: list[Polygon], shape: tuple[int, int]) -> np.ndarray:
    total = np.zeros(shape, int)
    for polygon in polygons:
        total += sum(winding(ring, shape) for ring in (polygon.outline, *polygon.holes))
    return total


def masks() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    noise = [rng.random((17, 23)) < share for share in (0.05, 0.3, 0.5, 0.7, 0.95)]
    return [*noise, *(blobs(seed) == 0 for seed in range(4)), np.ones((4, 5), bool), np.zeros((4, 5), bool)]


def test_a_square_with_a_hole():
    mask = np.ones((4, 5), bool)
    mask[1:3, 2:4] = False
    (polygon,) = mask_to_polygons(mask)
    assert polygon.outline.tolist() == [[0, 0], [5, 0], [5, 4], [0, 4]]
    assert [sorted(hole.tolist()) for hole in polygon.holes] == [[[2, 1], [2, 3], [4, 1], [4, 3]]]


def test_pixels_that_touch_at_a_corner_are_two_parts():
    for mask in (np.eye(2, dtype=bool), np.eye(2, dtype=bool)[::-1]):
        found = mask_to_polygons(mask)
        assert [len(polygon.outline) for polygon in found] == [4, 4]
        assert [polygon.holes for polygon in found] == [(), ()]


@pytest.mark.parametrize("index", range(11))
def test_filling_gives_the_mask_back(index):
    mask = masks()[index]
    found = mask_to_polygons(mask)
    assert np.array_equal(filled(found, mask.shape), mask.astype(int))
    assert len(found) == ndimage.label(mask)[1]
    holes = ndimage.label(np.pad(~mask, 1, constant_values=True), np.ones((3, 3)))[1] - 1
    assert sum(len(polygon.holes) for polygon in found) == holes


@pytest.mark.parametrize("index", range(11))
def test_a_keyhole_is_the_same_shape_in_one_line(index):
    mask = masks()[index]
    total = sum(
        (winding(keyhole(polygon), mask.shape) for polygon in mask_to_polygons(mask)), np.zeros(mask.shape, int)
    )
    assert np.array_equal(total, mask.astype(int))


@pytest.mark.parametrize("base", [0.0, 10.0])
def test_a_hole_hangs_on_a_corner_that_is_exactly_as_high(base):
    """A notch of the outline, from above or from below, whose tip lies between the left side and the hole."""
    notch = [(6.0, base), (8.0, 5.0), (10.0, base)]
    sides = [(20.0, 0.0), (20.0, 10.0)]
    outline = (
        [(0.0, 0.0), *notch, *sides, (0.0, 10.0)] if base == 0 else [(0.0, 0.0), *sides, *notch[::-1], (0.0, 10.0)]
    )
    hole = np.array([(14.0, 5.0), (15.0, 4.0), (16.0, 5.0), (15.0, 6.0)])
    ring = keyhole(Polygon(np.array(outline), (hole,))).tolist()
    place = ring.index([14.0, 5.0])
    assert ring[place - 1] == [8.0, 5.0]


def test_many_holes_in_a_row_hang_on_each_other():
    mask = np.ones((5, 1201), bool)
    mask[2, 1::2] = False
    (polygon,) = mask_to_polygons(mask)
    assert len(polygon.holes) == 600
    ring = keyhole(polygon)
    assert len(ring) == 4 + 600 * 7
    assert np.array_equal(winding(ring, mask.shape), mask.astype(int))


def test_simplified_shapes_stay_one_line():
    rng = np.random.default_rng(0)
    for _ in range(5):
        mask = ndimage.binary_opening(rng.random((40, 60)) < 0.8)
        for polygon in mask_to_polygons(mask, tolerance=1.5):
            ring = keyhole(polygon)
            assert len(ring) == len(polygon.outline) + sum(len(hole) + 3 for hole in polygon.holes)


def test_simplified_rings_stay_within_the_tolerance():
    y, x = np.mgrid[0:60, 0:60]
    disc = np.hypot(y - 30, x - 30) < 22
    (exact,), (rough,) = mask_to_polygons(disc), mask_to_polygons(disc, tolerance=1.0)
    assert len(rough.outline) < len(exact.outline) / 3
    centres = np.stack([x.ravel() + 0.5, y.ravel() + 0.5], 1)
    covered = Line(rough.outline).contains_points(centres).reshape(60, 60)
    changed = covered != disc
    assert changed.any()
    edge = ndimage.binary_dilation(disc, iterations=2) & ~ndimage.binary_erosion(disc, iterations=2)
    assert not (changed & ~edge).any()


def test_straight_lines_lose_their_inner_corners():
    ring = np.array([[0.0, 0], [1, 0], [2, 0], [2, 2], [1, 2], [0, 2]])
    assert simplified(ring, 0.1).tolist() == [[0, 0], [2, 0], [2, 2], [0, 2]]


def test_a_corner_is_removed_only_within_the_tolerance_itself():
    """A step of one pixel in a long edge: its corner lies 0.97 pixels from the line between the ends."""
    ring = np.array([[0, 0], [4, 0], [4, 1], [20, 1], [20, 12], [0, 12]], np.float64)
    kept = {tolerance: len(simplified(ring, tolerance)) for tolerance in (0.0, 0.5, 0.7, 1.1)}
    assert kept == {0.0: 6, 0.5: 6, 0.7: 6, 1.1: 4}


def test_outlines_and_holes_are_simplified_by_the_tolerance_that_was_asked_for():
    """Both have a step of one pixel: a corner 0.8 pixels from a line of the outline, and 1 from one of the hole."""
    mask = np.ones((20, 30), bool)
    mask[0, 6:] = False
    mask[4:12, 4:24] = False
    mask[4, 4:8] = True
    for tolerance, corners in ((0.7, (6, 6)), (1.1, (4, 5))):
        (polygon,) = mask_to_polygons(mask, tolerance=tolerance)
        assert (len(polygon.outline), len(polygon.holes[0])) == corners
