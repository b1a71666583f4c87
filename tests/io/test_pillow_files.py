"""Claims of files are compared with limits before they are decoded, and decoding takes what the limits say."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ahs_seg.io import pillow_files
from ahs_seg.io.images import ImageError, read_image
from ahs_seg.io.pillow_files import BYTES_PER_PIXEL, check_cost, decoding, has_16_bit_colours, identified
from tests.support.memory import peak_bytes

SIDE = 1500


def png(width: int, height: int, *, palette: bool, bits: int = 8) -> bytes:
    """A PNG of zeros."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer, rows = zlib.compressobj(), b""
    row = bytes(1 + width * (1 if palette else 3) * bits // 8)
    for _ in range(height):
        rows += packer.compress(row)
    header = struct.pack(">IIBBBBB", width, height, bits, 3 if palette else 2, 0, 0, 0)
    colours = chunk(b"PLTE", bytes(range(3))) + chunk(b"tRNS", b"\x80") if palette else b""
    data = chunk(b"IDAT", rows + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + colours + data + chunk(b"IEND", b"")


def encoded(kind: str, mode: str, **options: Any) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE // 8, SIDE // 8, 4), dtype=np.uint8)
    image = Image.fromarray(noise).resize((SIDE, SIDE)).convert("RGB").convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("JPEG", "RGB", {}),
        ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
        pytest.param("JPEG", "CMYK", {"progressive": True}, marks=pytest.mark.slow),
        ("PNG", "RGB", {}),
        ("WEBP", "RGB", {"lossless": True, "method": 0}),
        pytest.param("AVIF", "RGB", {"speed": 10}, marks=pytest.mark.slow),
        pytest.param("JPEG2000", "RGB", {"quality_layers": [100]}, marks=pytest.mark.slow),
        ("CMYK TIFF", "CMYK", {}),
    ],
    ids=str,
)
def test_decoding_takes_what_the_limits_say(kind: str, mode: str, options: dict[str, Any]) -> None:
    content = encoded(kind.rpartition(" ")[2], mode, **options)
    with identified(io.BytesIO(content), "it", pillow_files.IMAGE_FORMATS) as image:
        allowed = 10_000_000
        while True:
            try:
                check_cost(image, "it", allowed)
            except ImageError:
                break
            allowed = allowed * 9 // 10
    bytes_per_pixel = BYTES_PER_PIXEL * allowed * 10 / 9 / SIDE**2
    assert peak_bytes(lambda: read_image(content)) < bytes_per_pixel * SIDE**2 + 12_000_000


def test_a_small_file_of_a_large_palette_image_takes_no_more() -> None:
    content = png(4000, 4000, palette=True)
    assert len(content) < 100_000
    assert peak_bytes(lambda: read_image(content)) < 5 * 4000 * 4000 + 50_000_000


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 1), (400_000_001, 1)])
def test_a_header_is_compared_with_the_limit_before_memory_is_asked_for(size: tuple[int, int]) -> None:
    content = bytearray(png(8, 8, palette=False))
    struct.pack_into(">II", content, 16, *size)
    struct.pack_into(">I", content, 29, zlib.crc32(content[12:29]))

    def refused() -> None:
        with pytest.raises(ImageError, match="at most 400,000,000 are read"):
            read_image(bytes(content))

    assert peak_bytes(refused) < 100_000_000


def test_a_screen_of_a_gif_counts_as_its_size() -> None:
    buffer = io.BytesIO()
    Image.new("P", (4, 4)).save(buffer, "GIF")
    content = bytearray(buffer.getvalue())
    struct.pack_into("<HH", content, 6, 65535, 65535)
    with pytest.raises(ImageError, match="65535x65535"):
        read_image(bytes(content))


def test_progressive_files_and_costly_formats_may_have_fewer_pixels() -> None:
    plain, progressive = (encoded("JPEG", "L", progressive=value) for value in (False, True))
    assert read_image(plain, max_pixels=SIDE**2).shape == (SIDE, SIDE, 3)
    with pytest.raises(ImageError, match=r"\(JPEG, 16 bytes per pixel\): 1500x1500 is .*at most 1,406,250"):
        read_image(progressive, max_pixels=SIDE**2)


def test_formats_that_are_read_as_a_whole_have_a_limit_in_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    Image.new("RGB", (8, 8)).save(path)
    os.truncate(path, 2**40)
    with pytest.raises(ImageError, match=r"a\.webp: WEBP file of 1,099,511,627,776 bytes; at most 1,073,741,824"):
        read_image(path)


@pytest.mark.parametrize(
    "error", [RuntimeError("odd"), ValueError("odd"), AssertionError("odd"), RecursionError("odd")]
)
def test_whatever_a_decoder_raises_is_an_image_error(error: Exception) -> None:
    with pytest.raises(ImageError, match=r"a\.png: damaged or incomplete image \(odd\)"), decoding("a.png"):
        raise error
    with pytest.raises(ImageError, match=r"not enough memory"), decoding("a.png"):
        raise MemoryError


def test_a_damaged_avif_is_named() -> None:
    content = encoded("AVIF", "RGB", speed=10)
    with pytest.raises(ImageError, match="it: damaged or incomplete"):
        read_image(content[: len(content) * 2 // 3], name="it")


def test_text_of_a_png_is_not_unpacked_without_a_limit() -> None:
    body = b"Comment\0\0" + zlib.compress(bytes(100_000_000), 1)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    content = png(8, 8, palette=False)
    content = content[:33] + chunk + content[33:]

    def outcome() -> None:
        with pytest.raises(ImageError, match="Decompressed data too large"):
            read_image(content)

    assert peak_bytes(outcome) < 80_000_000


def test_the_bits_of_colours_are_known_from_the_header() -> None:
    grey = io.BytesIO()
    Image.new("I;16", (4, 4)).save(grey, "PNG")
    files = ((png(4, 4, palette=False), False), (png(4, 4, palette=False, bits=16), True), (grey.getvalue(), False))
    for content, expected in files:
        with identified(io.BytesIO(content), "it", ("PNG",)) as image:
            assert has_16_bit_colours(image) is expected


@pytest.mark.parametrize("mode", ["La", "RGBa", "LA", "PA", "RGBA"])
def test_every_kind_of_transparency_is_read(mode: str) -> None:
    via = {"La": "LA", "PA": "LA"}.get(mode, "RGBA")
    image = Image.new("RGBA", (3, 2), (200, 200, 200, 255)).convert(via).convert(mode)
    assert np.array_equal(read_image(image), np.full((2, 3, 3), 200, np.uint8))


def exif_of_many_tags() -> bytes:
    """An EXIF block of 60 KB that turns the image, with tags that all have the same 30 KB as their values."""
    length, tags = 30_000, 2_000
    entries = struct.pack("<HHII", 0x0112, 3, 1, 6)
    entries += b"".join(struct.pack("<HHII", 40_000 + index, 7, length, 8) for index in range(tags))
    head = struct.pack("<2sHI", b"II", 42, 8 + length)
    return b"Exif\0\0" + head + bytes(length) + struct.pack("<H", 1 + tags) + entries + bytes(4)


def mpf_of_many_tags() -> bytes:
    """The list of previews of a JPEG, as a segment, with such tags."""
    body = b"MPF\0" + exif_of_many_tags()[6:]
    return b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "previews"])
def test_an_exif_block_of_which_more_would_be_loaded_than_there_is_is_ignored(kind: str) -> None:
    buffer, image = io.BytesIO(), Image.new("RGB", (6, 4))
    if kind == "previews":
        image.save(buffer, "JPEG")
    elif kind == "AVIF":  # Pillow parses a block that it saves
        image.save(buffer, kind, exif=b"Exif\0\0II*\0\x08\0\0\0" + bytes(len(exif_of_many_tags()) - 14))
    else:
        image.save(buffer, kind, exif=exif_of_many_tags())
    content = buffer.getvalue()
    if kind == "previews":
        content = content[:2] + mpf_of_many_tags() + content[2:]
    if kind == "AVIF":
        empty = b"II*\0\x08\0\0\0" + bytes(len(exif_of_many_tags()) - 14)
        assert content.count(empty) == 1
        content = content.replace(empty, exif_of_many_tags()[6:])

    def read() -> None:
        assert read_image(content).shape == (4, 6, 3)

    assert peak_bytes(read) < 20_000_000


def test_an_avif_is_turned_as_its_container_says() -> None:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    Image.new("RGB", (6, 4)).save(buffer, "AVIF", exif=exif)
    assert b"a description" in buffer.getvalue()
    assert read_image(buffer.getvalue()).shape == (6, 4, 3)
