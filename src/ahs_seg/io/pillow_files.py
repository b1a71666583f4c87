"""Image files opened by Pillow, with their claims compared with limits before memory is asked for.

Only the formats listed here are decoded: Pillow would, for example, run Ghostscript to read EPS files. CMYK and
palettes are converted as Pillow does; colour profiles are not applied (CLIP does not apply them either).
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

import numpy as np
from jaxtyping import Bool, Shaped
from PIL import Image, ImageFile, JpegImagePlugin

from ahs_seg.io.orientation import UPRIGHT, Orientation
from ahs_seg.io.pixels import Bands, ImageError
from ahs_seg.io.tiff_tags import check_exif, check_tags, exif_block

IMAGE_FORMATS: Final = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
"""Formats of images by Pillow's names; "JPEG" includes the multi-picture files (MPO) of cameras."""
BYTES_PER_PIXEL: Final = 10
"""Memory for decoding an image of the greatest allowed number of pixels, in bytes per pixel."""
MAX_WHOLE_FILE: Final = 2**30
"""Maximum size of a file in bytes for formats whose decoders read it into memory as a whole."""

_COSTLY: Final = {"JPEG2000": 32, "WEBP": 20, "AVIF": 16, "TIFF": 14}
"""Bytes per pixel that decoding takes, as measured, for formats that take more than `BYTES_PER_PIXEL`."""
_PROGRESSIVE: Final = 16
_WHOLE_FILES: Final = ("WEBP", "AVIF")
_EXIF_ORIENTATION: Final = 0x0112
_AVIF_EXIF: Final = re.compile(rb"(infe[\2\3].{3}(?:.{4}|.{6}))Exif", re.DOTALL)
"""The entry of an EXIF block in the list of items: version, flags, number, protection, kind (ISO/IEC 14496-12)."""
_BITS, _PHOTOMETRIC, _PLANAR, _NODATA = 258, 262, 284, 42113


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Any exception of a decoder as an `ImageError`: their kinds cannot be listed, an AVIF raises `RuntimeError`."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(f"{name}: not enough memory to decode it. Shrink it or cut it into tiles.") from error
    except Exception as error:
        raise ImageError(f"{name}: damaged or incomplete image ({error}). Copy it again or leave it out.") from error


@contextmanager
def opened(source: Path | bytes, name: str) -> Iterator[io.BufferedIOBase]:
    """A file, given by its path or its content, open for reading."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    try:
        file = source.open("rb")
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file. Check the path.") from None
    except IsADirectoryError:
        raise ImageError(f"{name}: is a folder, not an image. Give the path of a file in it.") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be opened ({error}). Check its permissions.") from None
    with file:
        yield file


@contextmanager
def identified(file: io.BufferedIOBase, name: str, formats: tuple[str, ...]) -> Iterator[ImageFile.ImageFile]:
    """The image of a file of one of these formats, with only its header read."""
    with decoding(name):
        image = _identify(file, name, formats)
    if image is None:
        raise ImageError(f"{name}: empty, or not in a supported format ({', '.join(formats)}). Convert it to PNG.")
    yield image


def _identify(file: io.BufferedIOBase, name: str, formats: tuple[str, ...]) -> ImageFile.ImageFile | None:
    """The image with only its header read, without Pillow's process-wide pixel limit; None: unknown format."""
    Image.init()
    file.seek(0)
    start = file.read(16)
    for kind in formats:
        factory, accept = Image.OPEN.get(kind, (None, None))
        if factory is not None and (accept is None or accept(start) is True):
            size = file.seek(0, os.SEEK_END)
            if kind in _WHOLE_FILES and size > MAX_WHOLE_FILE:
                raise ImageError(
                    f"{name}: {kind} file of {size:,} bytes; at most {MAX_WHOLE_FILE:,} are read. Convert it to TIFF."
                )
            return _OPENERS.get(kind, factory)(cast(IO[bytes], _checked(file, kind, name)), "")
    return None


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """A JPEG whose EXIF block is checked before it is parsed, which Pillow does to open it; without its previews."""

    def getexif(self) -> Image.Exif:
        check_exif(exif_block(self.info))
        return super().getexif()


_OPENERS: Final = {"JPEG": _Jpeg}


def _checked(file: io.BufferedIOBase, kind: str, name: str) -> io.BufferedIOBase:
    """The file as Pillow may open it, without loading tags that take more memory than the file has bytes."""
    if kind == "TIFF":
        check_tags(file, name)
        file.seek(0)
        if file.read(4) == b"MM\0+":
            raise SyntaxError("BigTIFF with the most significant byte first")
    file.seek(0)
    # Pillow would parse the EXIF block of an AVIF to open it; its orientation does not count, the container has one
    return io.BytesIO(_AVIF_EXIF.sub(rb"\1skip", file.read())) if kind == "AVIF" else file


def check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    """Check the number of pixels of an image of (height, width).

    Raises:
        ImageError: it is zero, or larger than `max_pixels`.
    """
    height, width = size
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: {width}x{height} is {width * height:,} pixels; at most {max_pixels:,} are read. "
            "Cut it into tiles, shrink it, or raise max_pixels."
        )
    if not width * height:
        raise ImageError(f"{name}: {width}x{height} has no pixels; both sides must be at least 1.")


def check_cost(image: Image.Image, name: str, max_pixels: int) -> None:
    """Check the number of pixels of an image; formats whose decoders take much memory may have fewer.

    Raises:
        ImageError: the image has no or too many pixels.
    """
    cost = _COSTLY.get(image.format or "", BYTES_PER_PIXEL)
    if image.info.get("progressive"):
        cost = _PROGRESSIVE
    allowed = min(max_pixels, max_pixels * BYTES_PER_PIXEL // cost)
    kind = f" ({image.format}, {cost} bytes per pixel)" if allowed < max_pixels else ""
    check_size((image.height, image.width), name + kind, allowed)


def check_planes(image: Image.Image, name: str) -> None:
    """Check that a TIFF does not store colours of 16 bits, or white as zero, in planes: Pillow misreads them.

    Raises:
        ImageError: it does.
    """
    tags = getattr(image, "tag_v2", {})
    wide = max(tags.get(_BITS, (1,))) > 8 and image.mode in ("RGB", "RGBA", "CMYK")
    if tags.get(_PLANAR) == 2 and (wide or tags.get(_PHOTOMETRIC) == 0):
        raise ImageError(
            f"{name}: a TIFF of a kind that Pillow cannot read (its planes). Rasterio reads it; install it with: pip "
            "install 'ahs-seg[geo]'."
        )


def pillow_bands(image: Image.Image, name: str) -> Bands:
    """The values of an image, decoded when they are read for the first time."""
    deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
    alpha = not deep and image.has_transparency_data
    tags = getattr(image, "tag_v2", {})
    dtype = np.dtype({"I": np.int32, "F": np.float32}.get(image.mode, np.uint16) if deep else np.uint8)
    nodata = _number(tags.get(_NODATA)) if deep else None

    def read(rows: slice, columns: slice) -> Shaped[np.ndarray, "h w c"]:
        with decoding(name):
            _load(image)
            whole = (rows, columns) == (slice(0, image.height), slice(0, image.width))
            part = image if whole else image.crop((columns.start, rows.start, columns.stop, rows.stop))
            if deep:
                return np.asarray(part)[..., None].astype(dtype, copy=False)
            if part.mode == "La":  # which Pillow converts to LA alone
                part = part.convert("LA")
            return np.asarray(part.convert("RGBA") if alpha else part.convert("RGB"))

    def valid(rows: slice, columns: slice) -> Bool[np.ndarray, "h w"]:
        return ~np.isclose(read(rows, columns)[..., 0], nodata or 0, rtol=0, atol=0, equal_nan=True)

    return Bands(
        name,
        (image.height, image.width),
        dtype,
        read,
        alpha=alpha,
        valid=None if nodata is None else valid,
        orientation=orientation_of(image),
        inverted=deep and tags.get(_PHOTOMETRIC) == 0,
        high_bytes=has_16_bit_colours(image),
    )


def has_16_bit_colours(image: Image.Image) -> bool:
    """Whether the colours of a file that is not loaded yet have 16 bits, of which Pillow keeps the high bytes."""
    return image.mode in ("RGB", "RGBA", "LA") and ";16" in raw_mode(image)


def raw_mode(image: Image.Image) -> str:
    """How the values are packed in a file that is not loaded yet, by Pillow's names; empty if unknown."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else None
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments or "")


def orientation_of(image: Image.Image) -> Orientation:
    """How to turn the decoded pixels of an image upright."""
    if image.format == "TIFF":  # Pillow turns it while it is decoded
        return UPRIGHT
    try:
        if image.format == "PNG" and "exif" not in image.info:
            image.load()  # the block may follow the pixels
        check_exif(exif_block(image.info))
        return Orientation.of_exif(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  # a damaged EXIF block is ignored, whatever its reader raises
        return UPRIGHT


def _load(image: Image.Image) -> None:
    """Decode an image; a TIFF is not mapped into memory, which Pillow does with swapped sides if it is to be turned."""
    path = getattr(image, "filename", None)
    if image.format == "TIFF" and isinstance(image, ImageFile.ImageFile):
        image.filename = ""
    try:
        image.load()
    finally:
        if path is not None and isinstance(image, ImageFile.ImageFile):
            image.filename = path


def _number(text: object) -> float | None:
    try:
        return float(str(text).strip("\0 "))
    except ValueError:
        return None
