"""The bands of a raster that rasterio has opened, and which of them are grey, red, green, blue and alpha."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import Bool, Shaped, UInt8

from ahs_seg.io.orientation import Orientation
from ahs_seg.io.pillow_files import decoding
from ahs_seg.io.pixels import Bands, ImageError

if TYPE_CHECKING:
    from rasterio.io import DatasetReader
    from rasterio.windows import Window

ORIENTATION: Final = 274
_WIDTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _COLOUR_MAP, _EXTRA_SAMPLES = 256, 258, 259, 262, 320, 338
TAGS: Final = (_WIDTH, _BITS, _COMPRESSION, _PHOTOMETRIC, ORIENTATION, _COLOUR_MAP, _EXTRA_SAMPLES)
"""Tags of a TIFF that are used here, and its width, so that there is one."""
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_JPEG: Final = 7
_PREMULTIPLIED, _ALPHA = 1, 999
_PACKED: Final = {1: 255, 2: 85, 4: 17}
"""Factors from packed grey values to 0..255, by bits."""


def is_plain(tags: Mapping[int, Any]) -> bool:
    """Whether the values of a TIFF are grey, RGB or a palette, or JPEG that GDAL decodes to RGB.

    Others (CMYK, LAB) GDAL passes through a function that applies the orientation halfway; Pillow reads them.
    """
    photometric = tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO)
    return photometric in (_WHITE_IS_ZERO, 1, _RGB, _PALETTE) or (
        photometric == _YCBCR and tags.get(_COMPRESSION) == _JPEG
    )


def dataset_bands(dataset: DatasetReader, tags: Mapping[int, Any], orientation: Orientation, name: str) -> Bands:
    """The values of a dataset as Pillow would give them; `tags` are those of a TIFF, empty for other files.

    Raises:
        ImageError: it is not known which bands are red, green and blue, or the values are complex.
    """
    colours, alpha = _roles(dataset, tags, name)
    photometric = tags.get(_PHOTOMETRIC)
    has_palette = photometric == _PALETTE if tags else dataset.colorinterp[0].name == "palette"
    table = _colour_table(dataset, tags) if has_palette else None
    dtype = np.dtype(dataset.dtypes[0])
    if dtype.kind not in "uif":
        raise ImageError(f"{name}: values of type {dtype}; allowed are integers and floats. Convert them.")
    indexes = [index + 1 for index in ([*colours] if alpha is None else [*colours, alpha])]
    bits = tags.get(_BITS, (1,))
    factor = _PACKED.get(bits[0] if isinstance(bits, tuple) else bits, 1) if tags and table is None else 1

    def read(rows: slice, columns: slice) -> Shaped[np.ndarray, "h w c"]:
        with decoding(name):
            values = np.moveaxis(dataset.read(indexes, window=window_of(rows, columns)), 0, -1)
        if table is not None:
            shown = table[values[..., 0]]
            return shown if alpha is None else np.concatenate([shown, values[..., 1:]], -1)
        return values * values.dtype.type(factor) if factor != 1 else values

    def valid(rows: slice, columns: slice) -> Bool[np.ndarray, "h w"]:
        with decoding(name):
            return dataset.dataset_mask(window=window_of(rows, columns)) != 0

    return Bands(
        name,
        (dataset.height, dataset.width),
        np.dtype(np.uint8) if table is not None else dtype,
        read,
        alpha=alpha is not None,
        valid=valid if has_invalid_pixels(dataset) else None,
        orientation=orientation,
        premultiplied=_first(tags.get(_EXTRA_SAMPLES)) == _PREMULTIPLIED,
        inverted=photometric == _WHITE_IS_ZERO,
    )


def has_invalid_pixels(dataset: DatasetReader) -> bool:
    """Whether pixels can be without data, by a nodata value, a mask or an alpha channel."""
    from rasterio.enums import MaskFlags

    return any(MaskFlags.all_valid not in flags for flags in dataset.mask_flag_enums)


def _roles(dataset: DatasetReader, tags: Mapping[int, Any], name: str) -> tuple[list[int], int | None]:
    """The bands (from 0) of grey or of red, green and blue, and that of alpha."""
    meanings = [one.name for one in dataset.colorinterp]
    alpha = meanings.index("alpha") if "alpha" in meanings else None
    extra = _first(tags.get(_EXTRA_SAMPLES))
    if tags.get(_PHOTOMETRIC) == _RGB and len(meanings) == 4 and extra in (None, _ALPHA):
        alpha = 3  # as Pillow: the older programs that leave out what the fourth band is mean alpha
    coloured = [index for index in range(len(meanings)) if index != alpha]
    if {"red", "green", "blue"} <= set(meanings):
        return [meanings.index(one) for one in ("red", "green", "blue")], alpha
    if len(coloured) == 3:
        return coloured, alpha
    if len(coloured) <= 2:
        return coloured[:1], alpha
    raise ImageError(
        f"{name}: {len(meanings)} bands ({', '.join(_described(dataset, meanings))}), none marked as red, green and "
        "blue. Choose three by their numbers R, G, B: gdal_translate -b R -b G -b B -colorinterp red,green,blue IN OUT."
    )


def _described(dataset: DatasetReader, meanings: list[str]) -> list[str]:
    names = [text or meaning for text, meaning in zip(dataset.descriptions, meanings, strict=True)]
    return [*names[:8], "..."] if len(names) > 8 else names


def _colour_table(dataset: DatasetReader, tags: Mapping[int, Any]) -> UInt8[np.ndarray, "256 3"]:
    """Colours of the palette; indexes without a colour are black, as in Pillow."""
    colours = np.zeros((256, 3), np.uint8)
    if _COLOUR_MAP in tags:
        parts = np.array(tags[_COLOUR_MAP]).reshape(3, -1)[:, :256] // 256
        colours[: parts.shape[1]] = parts.T
    else:
        for index, colour in dataset.colormap(1).items():
            colours[index] = colour[:3]
    return colours


def _first(value: object) -> object:
    return value[0] if isinstance(value, tuple) and value else value


def window_of(rows: slice, columns: slice) -> Window:
    """Rows and columns as rasterio takes them."""
    from rasterio.windows import Window

    return Window(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
