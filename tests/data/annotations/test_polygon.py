"""Polygons are filled by the centres of pixels; what our exporter outlines comes back to the pixel."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from ahs_seg.data.annotations import polygon
from ahs_seg.data.annotations.polygon import filled, polygon_points
from ahs_seg.errors import SampleError
from ahs_seg.output.formats.polygons import keyhole, mask_to_polygons
from tests.support.results import blobs


def test_centres_decide() -> None:
    square = polygon_points([0.6, 0.4, 3.4, 0.4, 3.4, 2.4, 0.6, 2.4])
    assert filled(square, (3, 5)).astype(int).tolist() == [[0, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]]
    triangle = polygon_points([[0, 0], [4, 0], [0, 4]])
    assert filled(triangle, (4, 4)).sum(1).tolist() == [3, 2, 1, 0]  # centres on the right edge do not count


def test_a_polygon_that_crosses_itself_is_empty_where_it_winds_twice() -> None:
    bow = polygon_points([[0, 0], [4, 4], [4, 0], [0, 4]])
    assert filled(bow, (4, 4)).tolist() == filled(bow[::-1], (4, 4)).tolist()
    twice = polygon_points([[0, 0], [2, 0], [2, 2], [0, 2], [0, 0], [2, 0], [2, 2], [0, 2]])
    assert not filled(twice, (3, 3)).any()


def test_what_lies_outside_of_the_image_is_cut_off() -> None:
    around = polygon_points([[-9, -9], [99, -9], [99, 99], [-9, 99]])
    assert filled(around, (3, 4)).all()
    assert not filled(around + 200, (3, 4)).any()
    assert not filled(around - [200, 0], (3, 4)).any()
    assert filled(polygon_points([[-5, 1], [2, 1], [2, 9], [-5, 9]]), (3, 4)).sum() == 4


@pytest.mark.parametrize("seed", range(4))
def test_our_outlines_come_back_to_the_pixel(seed: int) -> None:
    mask = blobs(seed) == 1
    found = np.zeros_like(mask)
    for one in mask_to_polygons(mask):
        found |= filled(np.asarray(keyhole(one)), mask.shape)
    assert np.array_equal(found, mask)


def test_the_difference_to_pycocotools_lies_on_the_outline() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        points = rng.uniform(2, 58, (3, 2))
        theirs = coco_mask.decode(coco_mask.frPyObjects([points.ravel().tolist()], 60, 60))[..., 0].astype(bool)
        centres = np.argwhere(filled(points, theirs.shape) ^ theirs)[:, ::-1] + 0.5
        assert max((distance(centre, points) for centre in centres), default=0) < 0.5


def distance(point: np.ndarray, points: np.ndarray) -> float:
    """Distance in pixels of a point from the outline of a polygon."""
    lines = np.roll(points, -1, 0) - points
    share = np.clip(((point - points) * lines).sum(1) / (lines**2).sum(1), 0, 1)
    return float(np.linalg.norm(points + share[:, None] * lines - point, axis=1).min())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, 3], "pairs x, y"),
        ([1, 2, 3, 4], "2 vertices; allowed are 3"),
        ([[1, 2], [3, float("nan")], [4, 5]], "pairs x, y of finite numbers"),
        ([1, 2, 3, 4, 5, 1e300], "pairs x, y"),
        ("1,2", "pairs x, y"),
        ([True, 2, 3, 4, 5, 6], "pairs x, y"),
    ],
)
def test_wrong_points_are_refused(values: object, message: str) -> None:
    with pytest.raises(SampleError, match=message):
        polygon_points(values)


def test_a_polygon_that_takes_too_much_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polygon, "MAX_CROSSINGS", 100)
    zigzag = polygon_points([[index, 40 * (index % 2)] for index in range(8)])
    with pytest.raises(SampleError, match=r"cross 320 rows; allowed are 100"):
        filled(zigzag, (40, 40))
