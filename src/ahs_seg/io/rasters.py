"""The one way to open an image file, whole or in rows: rasterio reads TIFF and large files, Pillow everything else.

The decoder depends on the file and on whether rasterio (extra `geo`) is installed, never on how the image is read, so
that a whole image and its tiles are the same. Without rasterio Pillow reads TIFF as well; kinds that it cannot read are
errors that name the extra.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ahs_seg.io.gdal_bands import ORIENTATION, TAGS, dataset_bands, is_plain
from ahs_seg.io.orientation import Orientation
from ahs_seg.io.pillow_files import (
    IMAGE_FORMATS,
    check_cost,
    check_planes,
    check_size,
    decoding,
    has_16_bit_colours,
    identified,
    opened,
    orientation_of,
    pillow_bands,
    raw_mode,
)
from ahs_seg.io.pixels import ImageError, Raster
from ahs_seg.io.png import exif_after_pixels
from ahs_seg.io.tiff_tags import exif_block, read_tags

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

ReadRows: TypeAlias = Callable[[int, int], UInt8[np.ndarray, "h W 3"]]
"""A function that reads the rows `top` to `bottom` (exclusive) of an image, in full width."""

LARGE: Final = 32_000_000
"""Number of pixels above which plain PNG, JPEG and JPEG 2000 files are read row by row."""
WHOLE: Final = 1_000_000_000
"""Maximum number of pixels of an image that is tiled, but can only be decoded as a whole; this takes up to 10 GB."""
TILED_WIDTH: Final = 250_000
"""Maximum width in pixels of an image that is read row by row; memory grows with the width."""
TILED_PIXELS: Final = 40_000_000_000
"""Maximum number of pixels of an image that is read row by row."""
MAX_BLOCK_BYTES: Final = 2**31
"""Maximum size of the blocks in which a file stores its pixels: one is decoded at a time."""

_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DRIVERS: Final = {"TIFF": "GTiff", "PNG": "PNG", "JPEG": "JPEG", "JPEG2000": "JP2OpenJPEG"}
"""GDAL drivers by Pillow's names. Others are not allowed: a VRT file, for example, refers to other files."""
_PLAIN: Final = {"JPEG": ("L", "RGB"), "PNG": ("L", "RGB", "RGBA", "LA", "P", "I;16"), "JPEG2000": ("L", "RGB")}
"""Modes of which Pillow and GDAL decode the same values."""
_CACHE_MB: Final = 128


@contextmanager
def open_raster(source: Path | bytes, *, max_pixels: int | None = None, name: str | None = None) -> Iterator[Raster]:
    """An image given by its path or content; its pixels are read and decoded when they are asked for.

    With `max_pixels` it can be read as a whole, without it row by row (`Raster.rows`) if its format allows.

    Raises:
        ImageError: the file cannot be read, has too many pixels, or no bands that can be shown as grey or RGB.
    """
    name = name or (str(source) if isinstance(source, Path) else "image")
    with ExitStack() as stack:
        file = stack.enter_context(opened(source, name))
        start = file.read(4)
        is_tiff = start in _TIFF
        tags = _tags(file, name) if is_tiff and _has_rasterio() else {}
        driver = "GTiff" if tags and is_plain(tags) else None
        image: Image.Image | None = None
        if driver is None:
            stack.enter_context(_naming_the_extra(name, needed=is_tiff and not tags))
            image = stack.enter_context(identified(file, name, IMAGE_FORMATS))
            driver = _row_driver(image)
        dataset = None if driver is None else _opened_dataset(stack, source, driver)
        if dataset is not None:
            _check_dataset(dataset, name, max_pixels)
            yield Raster(dataset_bands(dataset, tags, _orientation(file, image, tags), name))
            return
        image = image or stack.enter_context(identified(file, name, IMAGE_FORMATS))
        check_cost(image, name, WHOLE if max_pixels is None else max_pixels)
        check_planes(image, name)
        yield Raster(pillow_bands(image, name))


@contextmanager
def open_dataset(path: Path) -> Iterator[tuple[DatasetReader, Orientation] | None]:
    """The file as rasterio opens it, for its georeference, and how to turn it upright; None: it can have none.

    Raises:
        ImageError: rasterio cannot open it.
    """
    name = str(path)
    with ExitStack() as stack:
        file = stack.enter_context(opened(path, name))
        if file.read(4) in _TIFF:
            yield _dataset(stack, path, "GTiff"), _orientation(file, None, _tags(file, name))
            return
        image = stack.enter_context(identified(file, name, IMAGE_FORMATS))
        driver = _DRIVERS.get(image.format or "")
        yield (_dataset(stack, path, driver), _orientation(file, image, {})) if driver else None


def _has_rasterio() -> bool:
    try:
        import rasterio  # noqa: F401  # checks that it is installed
    except ImportError:
        return False
    return True


@contextmanager
def _naming_the_extra(name: str, *, needed: bool) -> Iterator[None]:
    """Errors of Pillow's decoder, naming the extra that reads more kinds of TIFF if it is `needed`."""
    try:
        yield
    except ImageError as error:
        if not needed or error.__cause__ is None:
            raise
        raise ImageError(
            f"{name}: a TIFF of a kind that Pillow cannot read, or damaged ({error.__cause__}). Rasterio reads more "
            "kinds; install it with: pip install 'ahs-seg[geo]'."
        ) from error


def _row_driver(image: Image.Image) -> str | None:
    """The driver of GDAL for a file that it reads better than Pillow: row by row, or with all 16 bits."""
    kind = image.format or ""
    if kind not in _PLAIN or "transparency" in image.info:
        return None
    packed = ";" in raw_mode(image) and image.mode != "I;16"
    plain = image.mode in _PLAIN[kind] and not packed and not image.info.get("progressive")
    large = image.width * image.height > LARGE
    better = (large and plain) or (kind == "PNG" and has_16_bit_colours(image))
    return _DRIVERS[kind] if better and _has_rasterio() else None


def _opened_dataset(stack: ExitStack, source: Path | bytes, driver: str) -> DatasetReader | None:
    """The dataset, or None if GDAL cannot open it: then Pillow reads it, or says what is wrong."""
    try:
        return _dataset(stack, source, driver)
    except ImageError:
        return None


def _dataset(stack: ExitStack, source: Path | bytes, driver: str) -> DatasetReader:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError

    stack.enter_context(rasterio.Env(GDAL_CACHEMAX=_CACHE_MB))
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    try:
        if isinstance(source, bytes):
            memory = stack.enter_context(rasterio.MemoryFile(source))
            return stack.enter_context(memory.open(driver=driver))
        os.fsencode(source).decode("utf-8")
        return stack.enter_context(rasterio.open(source, driver=driver))
    except (RasterioError, RasterioIOError, UnicodeError) as error:  # not related in old versions
        raise ImageError(f"{source!s:.200}: rasterio cannot open it ({error}).") from error


def _check_dataset(dataset: DatasetReader, name: str, max_pixels: int | None) -> None:
    size = dataset.height, dataset.width
    check_size(size, name, TILED_PIXELS if max_pixels is None else max_pixels)
    if max_pixels is None and dataset.width > TILED_WIDTH:
        raise ImageError(f"{name}: {dataset.width} pixels wide; at most {TILED_WIDTH:,} are tiled. Cut it into parts.")
    height, width = dataset.block_shapes[0]
    together = dataset.count if dataset.profile.get("interleave") == "pixel" else 1
    stored = height * width * np.dtype(dataset.dtypes[0]).itemsize * together
    if stored > MAX_BLOCK_BYTES:
        raise ImageError(
            f"{name}: stored in blocks of {width}x{height} pixels, {stored:,} bytes; at most {MAX_BLOCK_BYTES:,} are "
            "decoded at a time. Store it in tiles: gdal_translate -co TILED=YES -co COMPRESS=DEFLATE IN OUT."
        )


def _orientation(file: io.BufferedIOBase, image: Image.Image | None, tags: Mapping[int, Any]) -> Orientation:
    """How to turn what GDAL reads: by the tag of a TIFF, or by the EXIF block of another `image`, without decoding."""
    if image is None:
        return Orientation.of_exif(tags.get(ORIENTATION, 1))
    if image.format == "PNG" and "exif" not in image.info:
        image.info["exif"] = exif_block(image.info) or exif_after_pixels(file)
    return orientation_of(image)


def _tags(file: io.BufferedIOBase, name: str) -> dict[int, Any]:
    """The tags that tell how the first image of a TIFF is read."""
    with decoding(name):
        return read_tags(file, name, TAGS)
