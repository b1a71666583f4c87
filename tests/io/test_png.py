"""The fast PNG writer: what Pillow reads again is what was written."""

import io

import numpy as np
import pytest
from PIL import Image

from ahs_seg.io.png import SIGNATURE, encode_png, exif_after_pixels, png_chunk


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (33, 48)])
def test_pixels_are_read_again_exactly(size: tuple[int, int]):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = Image.open(io.BytesIO(encode_png(pixels)))
    assert (image.format, image.mode) == ("PNG", "RGB")
    assert np.array_equal(np.asarray(image), pixels)
    image = Image.open(io.BytesIO(encode_png(pixels[::-1])))  # not contiguous
    assert np.array_equal(np.asarray(image), pixels[::-1])


def test_smooth_images_become_small():
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None, None], (200, 300, 3))
    assert len(encode_png(ramp)) < ramp.size / 100


def test_a_chunk_is_that_of_the_standard():
    assert bytes([137, 80, 78, 71, 13, 10, 26, 10]) == SIGNATURE
    assert png_chunk(b"IEND", b"") == bytes.fromhex("0000000049454e44ae426082")


def test_the_exif_block_behind_the_pixels_is_found_and_the_file_stays_where_it_is():
    content = encode_png(np.zeros((2, 3, 3), np.uint8))
    file = io.BytesIO(content[:-12] + png_chunk(b"eXIf", b"II*\0 a block") + content[-12:])
    file.seek(5)
    assert exif_after_pixels(file) == b"II*\0 a block"
    assert file.tell() == 5
    assert exif_after_pixels(io.BytesIO(content)) == exif_after_pixels(io.BytesIO(content[:40])) == b""
