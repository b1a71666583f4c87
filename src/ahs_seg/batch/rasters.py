"""Pictures of any size, read from top to bottom: by rasterio where it is installed, otherwise at once by Pillow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image

from ahs_seg.data.images import ImageError, read_image
from ahs_seg.tiling import ReadRows

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

TIFF_SUFFIXES: Final = frozenset([".tif", ".tiff"])
LARGE: Final = 32_000_000
"""Pixels from which other files than TIFF are read row by row as well."""
WHOLE: Final = 1_000_000_000
"""Pixels of the largest picture that is read at once; it takes about 8 GB."""

_DRIVERS: Final = ["GTiff", "PNG", "JPEG", "JP2OpenJPEG", "WEBP", "BMP"]
"""Formats that name no other files: GDAL's VRT, for one, could fetch addresses."""
_ORIENTATION: Final = 0x0112
_CACHE_MB: Final = 128


@dataclass(frozen=True, slots=True)
class Raster:
    """An open picture: its size, its rows as RGB bytes, and where on Earth it lies (rasterio's `crs`, `transform`)."""

    size: tuple[int, int]
    rows: ReadRows
    crs: Any = None
    transform: Any = None


@contextmanager
def open_raster(path: Path) -> Iterator[Raster]:
    """A picture to be read from top to bottom; values become RGB bytes as `read_image` makes them.

    Raises:
        SampleError: a file that cannot be read, or with other bands than grey, RGB or RGB and alpha.
    """
    if not _in_rows(path):
        pixels = read_image(path, max_pixels=WHOLE)
        yield Raster((pixels.shape[0], pixels.shape[1]), lambda top, bottom: pixels[top:bottom])
        return
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    try:
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, driver=_DRIVERS) as dataset:
                yield Raster((dataset.height, dataset.width), _reader(dataset, path), dataset.crs, dataset.transform)
    except RasterioError as error:
        raise ImageError(f"{path}: cannot be read ({error}). Copy it again or leave it out.") from error


def _in_rows(path: Path) -> bool:
    """Whether rasterio reads this file: TIFF always, others if they are large and upright."""
    try:
        import rasterio  # noqa: F401  # only looked for
    except ImportError:
        return False
    if path.suffix.lower() in TIFF_SUFFIXES:
        return True
    limit = Image.MAX_IMAGE_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=("JPEG", "PNG", "JPEG2000", "WEBP", "BMP")) as image:
                return image.width * image.height > LARGE and image.getexif().get(_ORIENTATION, 1) == 1
    except Image.DecompressionBombError:
        return limit is not None
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
    """One to four bands as RGB bytes."""
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
