"""Fast PNG of an RGB image: one filter for all rows and run-length compression, for images that are only looked at.

Pillow tries five filters for each row. The difference to the row above alone, with zlib's run-length strategy, takes
less than half of the processor time, and the files are about a tenth larger.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import Final

import numpy as np
from jaxtyping import UInt8

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_UP: Final = 2
"""Number of the filter: difference to the row above, modulo 256."""
_LEVEL: Final = 1


def encode_png(pixels: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """The bytes of an 8-bit RGB PNG that decodes to exactly these pixels."""
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    filtered = np.empty((height, 1 + 3 * width), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    packed = packer.compress(filtered.tobytes()) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return SIGNATURE + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file: its length, kind, content and checksum."""
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def exif_after_pixels(file: io.BufferedIOBase) -> bytes:
    """The EXIF block of a PNG that follows its pixels, empty if there is none; the file stays where it is."""
    here, place, size = file.tell(), len(SIGNATURE), file.seek(0, os.SEEK_END)
    block = b""
    while place < size:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8).ljust(8, b"\0"))
        if kind == b"eXIf":
            block = file.read(length)
        place += length + 12
    file.seek(here)
    return block
