"""Colour jitter: random brightness, contrast, saturation and hue, in 8-bit arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import numpy as np
from jaxtyping import Int32, UInt8
from pydantic import Field

from ahs_seg.config import Config

Probability = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=0)]

_FIXED_POINT: Final = 12
_HUES: Final = 180
_RED: Final = np.array([0, 2, 1, 1, 3, 0])
"""Index into (value, low, falling, rising) for a channel in each of the six sectors of the hue circle."""
_GREEN: Final = np.array([3, 0, 0, 2, 1, 1])
_BLUE: Final = np.array([1, 1, 3, 0, 0, 2])
_PER_VALUE: Final = np.rint((255 << _FIXED_POINT) / np.arange(256).clip(1)).astype(np.int32) * (np.arange(256) > 0)
_PER_SPAN: Final = np.rint((_HUES << _FIXED_POINT) / (6 * np.arange(256).clip(1))).astype(np.int32) * (
    np.arange(256) > 0
)
_UNITS: Final = np.array([6 / _HUES, 1 / 255, 1 / 255], np.float32)[:, None, None]


class ColourJitter(Config):
    """Colour augmentation of SSD (Liu et al., ECCV 2016) as detectron2 and CAT-Seg apply it.

    Brightness comes first, then contrast either before or after saturation and hue, with equal probability. Each step
    is applied with `probability`. Every step truncates its result to 8 bits, as the original does. Hue is in OpenCV's
    units, 180 for the full circle.
    """

    probability: Probability = 0.5
    brightness: Annotated[float, Field(ge=0, le=255)] = 32
    contrast: tuple[Factor, Factor] = (0.5, 1.5)
    saturation: tuple[Factor, Factor] = (0.5, 1.5)
    hue: Annotated[int, Field(ge=0, le=90)] = 18

    def apply(self, image: UInt8[np.ndarray, "H W 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
        """Image with randomly changed colours."""
        steps: list[Callable[[np.ndarray, np.random.Generator], np.ndarray]] = [self._saturation, self._hue]
        steps.insert(0 if rng.integers(2) else 2, self._contrast)
        for step in (self._brightness, *steps):
            if rng.random() < self.probability:
                image = step(image, rng)
        return image

    def _brightness(self, image: UInt8[np.ndarray, "H W 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
        return _scaled(image, shift=rng.uniform(-self.brightness, self.brightness))

    def _contrast(self, image: UInt8[np.ndarray, "H W 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
        return _scaled(image, factor=rng.uniform(*self.contrast))

    def _saturation(self, image: UInt8[np.ndarray, "H W 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
        hsv = rgb_to_hsv(image)
        hsv[..., 1] = _scaled(hsv[..., 1], factor=rng.uniform(*self.saturation))
        return hsv_to_rgb(hsv)

    def _hue(self, image: UInt8[np.ndarray, "H W 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
        hsv = rgb_to_hsv(image)
        turn = rng.integers(-self.hue, self.hue, endpoint=True)
        hsv[..., 0] = (hsv[..., 0].astype(np.int32) + turn) % _HUES
        return hsv_to_rgb(hsv)


def rgb_to_hsv(image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """HSV image with hue in 0..179, saturation and value in 0..255; bit-exact with OpenCV's 8-bit conversion."""
    red, green, blue = np.moveaxis(image.astype(np.int32), -1, 0)
    value = image.max(-1).astype(np.int32)
    span = value - image.min(-1)
    hue = np.where(value == red, green - blue, np.where(value == green, blue - red + 2 * span, red - green + 4 * span))
    hue = _rounded(hue * _PER_SPAN[span])
    return np.stack([np.where(hue < 0, hue + _HUES, hue), _rounded(span * _PER_VALUE[value]), value], -1).astype(
        np.uint8
    )


def hsv_to_rgb(image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """RGB image converted from HSV with truncation as in OpenCV (equal for 99.6 % of colours, else one level off)."""
    hue, saturation, value = np.moveaxis(image.astype(np.float32), -1, 0) * _UNITS
    sector, within = np.divmod(hue, np.float32(1))
    low, falling, rising = (value * (1 - saturation * part) for part in (np.float32(1), within, 1 - within))
    parts = (np.stack([value, low, falling, rising]) * np.float32(255)).astype(np.uint8)
    choice = sector.astype(np.intp) % 6
    return np.stack([np.take_along_axis(parts, table[choice][None], 0)[0] for table in (_RED, _GREEN, _BLUE)], -1)


def _rounded(fixed_point: Int32[np.ndarray, "H W"]) -> Int32[np.ndarray, "H W"]:
    return (fixed_point + (1 << (_FIXED_POINT - 1))) >> _FIXED_POINT


def _scaled(values: UInt8[np.ndarray, "*_"], *, factor: float = 1, shift: float = 0) -> UInt8[np.ndarray, "*_"]:
    changed = values.astype(np.float32) * np.float32(factor) + np.float32(shift)
    result: np.ndarray = changed.clip(0, 255).astype(np.uint8)
    return result
