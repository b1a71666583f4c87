"""Images of any size, read row by row from top to bottom with rasterio, or as a whole with Pillow without rasterio."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image

from ahs_seg.io.images import ImageError, read_image

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

TIFF_SUFFIXES: Final = frozenset([".tif", ".tiff"])
LARGE: Final = 32_000_000
"""Number of pixels above which files other than TIFF are read row by row as well."""
WHOLE: Final = 1_000_000_000
"""Maximum number of pixels of an image that is read as a whole; this takes about 8 GB."""

_DRIVERS: Final = {
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",
    b"MM\0+": "GTiff",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"\0\0\0\x0cjP": "JP2OpenJPEG",
}
"""GDAL drivers by the first bytes of a file. Others are not allowed: a VRT file, for example, refers to other files."""
_ORIENTATION: Final = 0x0112
_CACHE_MB: Final = 128


@dataclass(frozen=True, slots=True)
class Raster:
    """An open image: its size, and a function that reads some of its rows as RGB (uint8)."""

    size: tuple[int, int]
    rows: ReadRows


@contextmanager
def open_raster(path: Path) -> Iterator[Raster]:
    """An image that is read from top to bottom; values are converted to RGB (uint8) as by `read_image`.

    Raises:
        SampleError: the file cannot be read, or its bands are not grey or RGB, with or without alpha.
    """
    driver = _driver_for(path)
    if driver is None:
        pixels = read_image(path, max_pixels=WHOLE)
        yield Raster((pixels.shape[0], pixels.shape[1]), lambda top, bottom: pixels[top:bottom])
        return
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    try:
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, driver=driver) as dataset:
                yield Raster((dataset.height, dataset.width), _reader(dataset, path))
    except RasterioError as error:
        raise ImageError(f"{path}: cannot be read ({error}). Copy it again or leave it out.") from error


def _driver_for(path: Path) -> str | None:
    """The GDAL driver to read a file row by row; None: read it as a whole (small or rotated files, except TIFF)."""
    try:
        import rasterio  # noqa: F401  # checks that it is installed

        with path.open("rb") as file:
            start = file.read(8)
    except (ImportError, OSError):
        return None
    driver = next((name for magic, name in _DRIVERS.items() if start.startswith(magic)), None)
    return driver if driver == "GTiff" or _is_large_and_upright(path) else None


def _is_large_and_upright(path: Path) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=("JPEG", "PNG", "JPEG2000")) as image:
                return image.width * image.height > LARGE and image.getexif().get(_ORIENTATION, 1) == 1
    except Image.DecompressionBombError:
        return True
    except (OSError, SyntaxError, ValueError):
        return False


def _reader(dataset: DatasetReader, path: Path) -> ReadRows:
    from rasterio.enums import ColorInterp
    from rasterio.windows import Window

    meanings = list(dataset.colorinterp)
    if dataset.count not in (1, 2, 3, 4) or (dataset.count in (2, 4) and meanings[-1] != ColorInterp.alpha):
        raise ImageError(
            f"{path}: {dataset.count} bands ({', '.join(one.name for one in meanings)}); allowed are grey or RGB, with "
            "or without alpha. Choose three: gdal_translate -b 4 -b 3 -b 2 IN OUT."
        )
    colours = _colour_table(dataset.colormap(1)) if meanings[0] == ColorInterp.palette else None

    def rows(top: int, bottom: int) -> UInt8[np.ndarray, "h W 3"]:
        bands = dataset.read(window=Window(0, top, dataset.width, bottom - top))
        return rgb_of_bands(bands, path) if colours is None else colours[bands[0]]

    return rows


def rgb_of_bands(bands: Shaped[np.ndarray, "c h W"], path: Path) -> UInt8[np.ndarray, "h W 3"]:
    """The RGB values (uint8) of one to four bands."""
    if not bands.size:
        return np.zeros((bands.shape[1], bands.shape[2], 3), np.uint8)
    channels = [0, 0, 0, 1] if len(bands) == 2 else list(range(len(bands)))
    try:
        return read_image(np.moveaxis(bands[channels], 0, -1))
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None


def _colour_table(table: dict[int, tuple[int, ...]]) -> UInt8[np.ndarray, "n 3"]:
    colours = np.zeros((1 + max(table), 3), np.uint8)
    for index, colour in table.items():
        colours[index] = colour[:3]
    return colours


ReadRows = Callable[[int, int], UInt8[np.ndarray, "h W 3"]]
"""A function that reads the rows `top` to `bottom` (exclusive) of an image, in full width."""
