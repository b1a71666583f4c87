"""From stored values of any type to RGB of 8 bits: the one conversion for files, PIL images, arrays and tensors.

- Transparent pixels are blended with white; without the alpha channel, arbitrary hidden colours would appear.
- 16-bit values are divided by 256. If 99 % of them lie in the lowest eighth of the range, as reflectances of satellites
  do, the image would be nearly black: the range of the middle 98 % is then stretched to 0..255, and a warning says so.
- Floats are in [0, 1], other integers in 0..65535. Pixels without data (nodata value, mask) do not count.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Bool, Integer, Shaped, UInt8

from ahs_seg.errors import SampleError
from ahs_seg.io.blocks import blocks
from ahs_seg.io.orientation import UPRIGHT, Orientation

logger = logging.getLogger(__name__)

DARK: Final = 1 / 8
"""Share of the range of 16 bits: an image with nearly all values below it is stretched."""
TAIL: Final = 0.01
"""Share of the values at each end of the range that do not count for stretching."""

STRETCHED: Final = (
    "16-bit values in a small part of their range, nearly black, were stretched to the full range; "
    "for the same stretch of all images, save 8 bits with: gdal_translate -ot Byte -scale LOW HIGH 0 255 IN OUT"
)
"""Note on an image that would be nearly black."""

_VALUES: Final = 65536

Read: TypeAlias = Callable[[slice, slice], Shaped[np.ndarray, "h w c"]]
Valid: TypeAlias = Callable[[slice, slice], Bool[np.ndarray, "h w"]]


class ImageError(SampleError):
    """An image or a label map cannot be read; the message says what was given, what is allowed and what to do."""


@dataclass(frozen=True, slots=True)
class Bands:
    """The stored values of an open image, as (h w c): one or three colours, followed by alpha if `alpha`.

    `read` gives the values of some rows and columns, `valid` says which of them are data (None: all). `high_bytes`:
    only the high bytes of 16-bit values are left. `inverted`: 0 is white. `premultiplied`: colours are multiplied by
    alpha.
    """

    name: str
    size: tuple[int, int]
    dtype: np.dtype
    read: Read
    alpha: bool = False
    valid: Valid | None = None
    orientation: Orientation = UPRIGHT
    premultiplied: bool = False
    inverted: bool = False
    high_bytes: bool = False

    def data(self, rows: slice, columns: slice) -> Shaped[np.ndarray, "n c"]:
        """The colours of the pixels that are data and not transparent."""
        values = self.read(rows, columns)
        shown = np.ones(values.shape[:2], np.bool_) if self.valid is None else self.valid(rows, columns)
        if self.alpha:
            shown = shown & (values[..., -1] > 0)
            values = values[..., :-1]
        return values[shown]


@dataclass(frozen=True, slots=True)
class Levels:
    """The values that are shown as black and as white."""

    low: float
    high: float

    def to_bytes(self, values: Shaped[np.ndarray, "*_"]) -> UInt8[np.ndarray, "*_"]:
        """Values scaled to 0..255; those outside of the levels are clipped."""
        if values.dtype == np.uint8:
            return values
        if np.issubdtype(values.dtype, np.floating):
            return (np.clip(np.nan_to_num(values), self.low, self.high) * 255 + 0.5).astype(np.uint8)
        return _table(self).take(np.clip(values, 0, _VALUES - 1).astype(np.intp))


@lru_cache(maxsize=4)
def _table(levels: Levels) -> UInt8[np.ndarray, " n"]:
    """The byte for every 16-bit value."""
    shares = (np.arange(_VALUES) - levels.low) / (levels.high + 1 - levels.low)
    return np.clip(shares * 256, 0, 255).astype(np.uint8)


FULL_RANGE: Final = Levels(0.0, _VALUES - 1.0)
UNIT_RANGE: Final = Levels(0.0, 1.0)


class Raster:
    """An image that is read window by window as upright RGB; nothing but its header is read before the first window."""

    def __init__(self, bands: Bands) -> None:
        self.bands = bands
        self.size = bands.orientation.size(bands.size)

    def rows(self, top: int, bottom: int) -> UInt8[np.ndarray, "h W 3"]:
        """The rows `top` to `bottom` (exclusive), in full width."""
        return self.window(slice(top, bottom), slice(0, self.size[1]))

    def window(self, rows: slice, columns: slice) -> UInt8[np.ndarray, "h w 3"]:
        """The pixels of some rows and columns."""
        stored = self.bands.orientation.window(rows, columns, self.size)
        result = np.empty((rows.stop - rows.start, columns.stop - columns.start, 3), np.uint8)
        if result.size:
            target = self.bands.orientation.stored(result)
            for part in blocks((target.shape[0], target.shape[1])):
                place = tuple(_shifted(one, whole.start) for one, whole in zip(part, stored, strict=True))
                target[part] = self._rgb(self.bands.read(place[0], place[1]))
        return result

    def whole(self) -> UInt8[np.ndarray, "H W 3"]:
        """All pixels; a warning says if their values are stretched."""
        pixels = self.rows(0, self.size[0])
        if self.notes:
            low, high = round(self._levels.low), round(self._levels.high)
            logger.warning(
                "%s: 98 %% of its 16-bit values lie in %d..%d of 0..65535, which is nearly black; they are stretched "
                "to the full range. To choose another: gdal_translate -ot Byte -scale %d %d 0 255 IN OUT.",
                *(self.bands.name, low, high, low, high),
            )
        return pixels

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the values, for images that were read."""
        return () if self._levels in (FULL_RANGE, UNIT_RANGE) else (STRETCHED,)

    @cached_property
    def _levels(self) -> Levels:
        return find_levels(self.bands)

    def _rgb(self, values: Shaped[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w _"]:
        alpha = None
        if self.bands.alpha:
            full = UNIT_RANGE if np.issubdtype(values.dtype, np.floating) else FULL_RANGE
            values, alpha = values[..., :-1], full.to_bytes(values[..., -1:])
        colours = self._levels.to_bytes(values)
        colours = 255 - colours if self.bands.inverted else colours
        if alpha is None:
            return colours
        return on_white(_straight(colours, alpha) if self.bands.premultiplied else colours, alpha)


def find_levels(bands: Bands) -> Levels:
    """The values to show as black and white; needs all values of the image, unless it has 8 bits.

    Raises:
        ImageError: values are outside of the allowed range, or too dark to be shown by their high bytes.
    """
    if bands.dtype == np.uint8 and not bands.high_bytes:
        return FULL_RANGE
    counts, low, high = np.zeros(_VALUES, np.int64), np.inf, -np.inf
    integers = not np.issubdtype(bands.dtype, np.floating)
    for rows, columns in blocks(bands.size):
        values = bands.data(rows, columns)
        if values.size:
            low, high = np.minimum(low, values.min()), np.maximum(high, values.max())
            if integers:
                counts += np.bincount(np.clip(values, 0, _VALUES - 1).ravel().astype(np.intp), minlength=_VALUES)
    if low == np.inf:
        return FULL_RANGE if integers else UNIT_RANGE
    top = _VALUES - 1 if integers else 1
    if not (low >= 0 and high <= top):
        raise _out_of_range(bands, float(low), float(high))
    return _stretched(bands, counts) if integers else UNIT_RANGE


def _stretched(bands: Bands, counts: Integer[np.ndarray, " n"]) -> Levels:
    """The full range, or that of the middle 98 % of the values if nearly all of them are dark."""
    total = counts.cumsum()
    low, high = (int(total.searchsorted(share * total[-1])) for share in (TAIL, 1 - TAIL))
    values = 256 if bands.high_bytes else _VALUES
    if high >= DARK * values or high <= low:
        return FULL_RANGE
    if bands.high_bytes:
        raise ImageError(
            f"{bands.name}: its 16-bit values use the lowest {high + 1} of 256 parts of their range, nearly black. "
            "Rasterio reads their fine steps; install it with: pip install 'ahs-seg[geo]'. Or save 8 bits."
        )
    return Levels(float(low), float(high))


def _out_of_range(bands: Bands, low: float, high: float) -> ImageError:
    integers = not np.issubdtype(bands.dtype, np.floating)
    allowed = "integers must lie in 0..65535" if integers else "floats must lie in [0, 1]"
    remedy = "Scale them" if integers else "Divide by 255, undo the normalisation, or clip"
    return ImageError(
        f"{bands.name} of type {bands.dtype} with values {low:g} to {high:g}; {allowed}. {remedy}; in a file: "
        "gdal_translate -ot Byte -scale LOW HIGH 0 255 IN OUT."
    )


def on_white(colours: UInt8[np.ndarray, "h w c"], alpha: UInt8[np.ndarray, "h w 1"]) -> UInt8[np.ndarray, "h w c"]:
    """Colours blended with a white ground."""
    opaque = alpha.astype(np.uint16)
    blended = colours * opaque + 255 * (255 - opaque)
    return ((blended + 127) // 255).astype(np.uint8)


def _straight(colours: UInt8[np.ndarray, "h w c"], alpha: UInt8[np.ndarray, "h w 1"]) -> UInt8[np.ndarray, "h w c"]:
    """Colours that were multiplied by alpha, divided by it."""
    divided = colours.astype(np.uint16) * 255 // np.maximum(alpha, 1)
    return np.minimum(divided, 255).astype(np.uint8)


def _shifted(part: slice, start: int) -> slice:
    return slice(part.start + start, part.stop + start)
