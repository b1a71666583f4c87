"""Codes of brush masks: Label Studio's own SDK reads ours, and what its converter writes is read."""

import numpy as np
import pytest
from label_studio_sdk.converter.brush import decode_rle, encode_rle

from ahs_seg.io.brush_rle import decode_brush, encode_brush
from ahs_seg.io.rle import RleError

# Written by label-studio-converter 0.0.59 (brush.mask2rle).
MASK = ["011100", "000001", "010100", "101100", "010000"]
CODE = [
    *(0, 0, 0, 120, 57, 27, 252, 96, 22, 255, 240, 216, 4, 127, 241, 128, 71, 255, 24, 4, 127, 243, 128, 71, 255, 24),
    *(4, 255, 246, 192, 35, 255, 190, 0),
]


def mask_of(code: list[int], height: int, width: int) -> np.ndarray:
    channels = decode_rle(code).reshape(height, width, 4)
    assert (channels == channels[..., :1]).all()
    assert set(np.unique(channels)) <= {0, 255}
    return channels[..., 3] == 255


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (200, 300)])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 1.0])
def test_masks_come_back(shape, share):
    mask = np.random.default_rng(0).random(shape) < share
    assert np.array_equal(mask_of(encode_brush(mask), *shape), mask)


def test_a_code_is_that_of_the_converter():
    mask = np.array([[pixel == "1" for pixel in row] for row in MASK])
    assert encode_brush(mask) == CODE
    assert np.array_equal(mask_of(CODE, 5, 6), mask)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (70, 300)])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_masks_are_read(shape: tuple[int, int], share: float) -> None:
    mask = np.random.default_rng(0).random(shape) < share
    assert np.array_equal(decode_brush(encode_brush(mask), shape), mask)
    channels = np.repeat(np.where(mask, 255, 0).astype(np.uint8)[..., None], 4, -1)
    assert np.array_equal(decode_brush(encode_rle(channels.ravel()), shape), mask)  # by the SDK, with single values


def test_opacity_decides() -> None:
    channels = np.array([[[9, 9, 9, 127], [0, 0, 0, 128]]], np.uint8)
    assert decode_brush(encode_rle(channels.ravel()), (1, 2)).tolist() == [[False, True]]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("abc", "type str; allowed is a list of bytes"),
        ([1, 256], "list of bytes"),
        ([0, 0, 0, 120], "of 4 bytes; it has no header"),
        ([255, 255, 255, 255, *CODE[4:]], "4,294,967,295 values; an image of 6x5 has 120"),
        ([*CODE[:4], 121, *CODE[5:]], "values of 16 bits; allowed are 8"),
        (CODE[:-12], "ends after 6. of 120 values|run of 1"),
        ([*CODE[:6], 255, 255, 255, 255, 255], r"run of 65,536 after 0 of 120"),
    ],
)
def test_damaged_codes_are_refused(code: object, message: str) -> None:
    with pytest.raises(RleError, match=message):
        decode_brush(code, (5, 6))
