"""The eight orientations, compared with Pillow's and with what the words of the standards say."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from ahs_seg.io.orientation import UPRIGHT, Orientation

STORED = np.arange(12).reshape(3, 4)
EIGHT = range(1, 9)


@pytest.mark.parametrize("value", EIGHT)
def test_an_upright_image_is_that_of_pillow(value: int) -> None:
    image = Image.fromarray(STORED.astype(np.uint8))
    image.getexif()[0x0112] = value
    assert np.array_equal(Orientation.of_exif(value).upright(STORED), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("value", EIGHT)
def test_stored_undoes_upright_and_windows_are_parts(value: int) -> None:
    orientation = Orientation.of_exif(value)
    upright = orientation.upright(STORED)
    assert orientation.size((3, 4)) == upright.shape
    assert np.array_equal(orientation.stored(upright), STORED)
    for rows, columns in [(slice(0, 2), slice(1, 3)), (slice(2, 3), slice(0, 1))]:
        window = STORED[orientation.window(rows, columns, (upright.shape[0], upright.shape[1]))]
        assert np.array_equal(orientation.upright(window), upright[rows, columns])


@pytest.mark.parametrize("value", [None, 0, 9, "6", 1])
def test_other_values_are_upright(value: object) -> None:
    assert Orientation.of_exif(value) == UPRIGHT


@pytest.mark.parametrize(
    ("matrix", "value"),
    [
        ((1, 0, 0, 1), 1),
        ((-1, 0, 0, 1), 2),
        ((-1, 0, 0, -1), 3),
        ((1, 0, 0, -1), 4),
        ((0, 1, 1, 0), 5),
        ((0, 1, -1, 0), 6),
        ((0, -1, -1, 0), 7),
        ((0, -1, 1, 0), 8),
    ],
)
def test_a_matrix_says_where_a_pixel_is_shown(matrix: tuple[int, int, int, int], value: int) -> None:
    a, b, c, d = matrix
    orientation = Orientation.of_matrix([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30])
    assert orientation == Orientation.of_exif(value)
    shown = {}
    for (y, x), number in np.ndenumerate(STORED):
        shown[b * x + d * y, a * x + c * y] = number
    by_place = [shown[place] for place in sorted(shown)]
    assert orientation.upright(STORED).ravel().tolist() == by_place
