"""Image files of every format and mode that Pillow writes, and what damages them."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image, features

from ahs_seg.io.pillow_files import IMAGE_FORMATS
from tests.campaign.damage import DAMAGES, lying, untouched

MODES: Final = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16")
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".PNG", ".Jpg")
OPTIONS: Final[dict[str, tuple[dict[str, object], ...]]] = {
    "JPEG": ({}, {"progressive": True}, {"quality": 1, "subsampling": 2}),
    "PNG": ({}, {"optimize": True}, {"bits": 4}),
    "TIFF": ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "packbits"}),
    "WEBP": ({}, {"lossless": True}),
    "AVIF": ({"speed": 10}, {"speed": 10, "quality": 20}),
}

_REFUSALS: Final = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, struct.error)
"""What Pillow raises for a mode or an option that a format does not have."""


def writable() -> list[tuple[str, str]]:
    """Every pair of a format and a mode that this Pillow writes."""
    Image.init()
    without = {"PDF", "EPS", "PALM", "MSP"} | (set() if features.check("avif") else {"AVIF"})
    found = []
    for form in sorted(set(Image.SAVE) & set(Image.OPEN) - without):
        for mode in MODES:
            try:
                Image.new(mode, (16, 16)).save(io.BytesIO(), form)
            except _REFUSALS:
                continue
            found.append((form, mode))
    return found


def drawn(draw: random.Random, mode: str) -> Image.Image:
    """A random image of a mode, often of an odd size."""
    side = draw.choice((1, 2, 7, 16, 33, 64, 97))
    size = draw.choice(
        ((side, side), (side, draw.randint(1, 90)), (1, draw.randint(1, 900)), (draw.randint(1, 900), 1))
    )
    noise = np.random.default_rng(draw.randrange(2**32)).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    colours = Image.fromarray(noise)
    if mode in ("I", "I;16"):
        return Image.fromarray(np.asarray(colours.convert("L")).astype(np.uint16) * 257).convert(mode)
    if mode == "LAB":
        return Image.new(mode, size, 90)
    return colours.convert("P").convert(mode) if mode == "PA" else colours.convert(mode)


def encoded(draw: random.Random, form: str, mode: str) -> bytes:
    """The content of a file of a format; sometimes with EXIF, a transparent colour or more frames."""
    image, buffer = drawn(draw, mode), io.BytesIO()
    options = dict(draw.choice(OPTIONS.get(form, ({},))))
    if form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF") and draw.random() < 0.3:
        exif = Image.Exif()
        exif[0x0112] = draw.randint(0, 9)
        options["exif"] = exif.tobytes()
    if form in ("GIF", "WEBP", "TIFF", "PNG") and draw.random() < 0.15:
        options |= {"save_all": True, "append_images": [image.transpose(Image.Transpose.ROTATE_180)]}
    if mode == "P" and form in ("PNG", "GIF") and draw.random() < 0.5:
        options["transparency"] = draw.randrange(256)
    for chosen in (options, {}):
        try:
            image.save(buffer, form, **chosen)
        except _REFUSALS:
            buffer = io.BytesIO()
            continue
        return buffer.getvalue()
    Image.new(mode, (16, 16)).save(buffer, form)
    return buffer.getvalue()


def claimed(draw: random.Random, content: bytearray) -> bytearray:
    """A PNG whose header names another size, depth or kind of colour, with a right checksum; other formats lie."""
    if not content.startswith(b"\x89PNG"):
        return lying(draw, content)
    width, height = draw.choice(((0, 9), (20000, 20000), (2**31 - 1, 1), (7, 100000), (2**20, 2**20)))
    header = struct.pack(">IIBBBBB", width, height, draw.choice((1, 8, 16)), draw.choice((0, 2, 3, 6)), 0, 0, 0)
    content[16:33] = header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return content


def mutated(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """`count` files, by name and content: all formats and modes in turn, each damaged in one of the ways or in none."""
    draw, kinds = random.Random(seed), writable()
    kinds += 2 * [(form, mode) for form, mode in kinds if form in IMAGE_FORMATS]
    draw.shuffle(kinds)
    for number in range(count):
        form, mode = kinds[number % len(kinds)]
        damage = draw.choice((*DAMAGES, claimed, untouched))
        content = damage(draw, bytearray(encoded(draw, form, mode)))
        yield f"{number:04d}-{form}-{mode.replace(';', '_')}{draw.choice(SUFFIXES)}", bytes(content)
