"""How different two colours look: CIEDE2000, and colours as people with deuteranopia see them.

Sources: Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula: implementation notes, supplementary test data,
and mathematical observations" (2005); Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of
color vision deficiency" (2009), matrix of deuteranomaly at severity 1; sRGB (IEC 61966-2-1) with the white D65.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, UInt8

_RGB_TO_XYZ: Final = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_XYZ_TO_RGB: Final = np.linalg.inv(_RGB_TO_XYZ)
_WHITE: Final = _RGB_TO_XYZ.sum(1)
_DEUTERANOPIA: Final = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
_KNEE: Final = 6 / 29
_FAR: Final = 25.0**7


def linear_of(rgb: UInt8[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Linear light of sRGB colours, in [0, 1]."""
    part = rgb / 255
    result: np.ndarray = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return result


def encoded(linear: Float[np.ndarray, "*n 3"]) -> UInt8[np.ndarray, "*n 3"]:
    """The sRGB colours of linear light, clipped to [0, 1]."""
    part = linear.clip(0, 1)
    return np.rint(255 * np.where(part <= 0.0031308, 12.92 * part, 1.055 * part ** (1 / 2.4) - 0.055)).astype(np.uint8)


def lab_of(rgb: UInt8[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """CIELAB coordinates of sRGB colours: lightness in [0, 100], a (green to red), b (blue to yellow)."""
    part = linear_of(rgb) @ _RGB_TO_XYZ.T / _WHITE
    x, y, z = np.moveaxis(np.where(part > _KNEE**3, np.cbrt(part), part / (3 * _KNEE**2) + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def linear_of_lab(lab: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Linear light of CIELAB colours; outside [0, 1] for those that sRGB does not have."""
    y = (lab[..., 0] + 16) / 116
    part = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
    result: np.ndarray = (np.where(part > _KNEE, part**3, 3 * _KNEE**2 * (part - 4 / 29)) * _WHITE) @ _XYZ_TO_RGB.T
    return result


def with_deuteranopia(rgb: UInt8[np.ndarray, "*n 3"]) -> UInt8[np.ndarray, "*n 3"]:
    """The colours that people with deuteranopia, the commonest colour blindness, see in the place of these."""
    return encoded(linear_of(rgb) @ _DEUTERANOPIA.T)


def ciede2000(one: Float[np.ndarray, "*n 3"], other: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
    """CIEDE2000 difference of CIELAB colours: 1 is just visible side by side, 100 is black and white."""
    (light, a, b), (light2, a2, b2) = np.moveaxis(one, -1, 0), np.moveaxis(other, -1, 0)
    seventh = ((np.hypot(a, b) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(seventh / (seventh + _FAR))
    a, a2 = a * stretch, a2 * stretch
    chroma, chroma2 = np.hypot(a, b), np.hypot(a2, b2)
    hue, hue2 = np.degrees(np.arctan2(b, a)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    grey = chroma * chroma2 == 0
    turn = np.where(grey, 0, (hue2 - hue + 180) % 360 - 180)
    turn = np.where((turn == -180) & (hue2 > hue), 180, turn)
    hue_mean = np.where(grey, hue + hue2, _mean_hue(hue, hue2))
    light_mean, chroma_mean = (light + light2) / 2, (chroma + chroma2) / 2
    weight = (
        1
        - 0.17 * np.cos(np.radians(hue_mean - 30))
        + 0.24 * np.cos(np.radians(2 * hue_mean))
        + 0.32 * np.cos(np.radians(3 * hue_mean + 6))
        - 0.20 * np.cos(np.radians(4 * hue_mean - 63))
    )
    squared = (light_mean - 50) ** 2
    by_light = (light2 - light) / (1 + 0.015 * squared / np.sqrt(20 + squared))
    by_chroma = (chroma2 - chroma) / (1 + 0.045 * chroma_mean)
    by_hue = 2 * np.sqrt(chroma * chroma2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma_mean * weight)
    seventh = chroma_mean**7
    rotation = -2 * np.sqrt(seventh / (seventh + _FAR))
    rotation = rotation * np.sin(np.radians(60 * np.exp(-(((hue_mean - 275) / 25) ** 2))))
    result: np.ndarray = np.sqrt(by_light**2 + by_chroma**2 + by_hue**2 + rotation * by_chroma * by_hue)
    return result


def _mean_hue(hue: Float[np.ndarray, "*n"], hue2: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    total = hue + hue2
    result: np.ndarray = np.where(
        np.abs(hue - hue2) <= 180, total / 2, np.where(total < 360, total / 2 + 180, total / 2 - 180)
    )
    return result


def visible_difference(one: UInt8[np.ndarray, "*n 3"], other: UInt8[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
    """CIEDE2000 difference of sRGB colours, the smaller of that for usual vision and that with deuteranopia."""
    blind = ciede2000(lab_of(with_deuteranopia(one)), lab_of(with_deuteranopia(other)))
    return np.minimum(ciede2000(lab_of(one), lab_of(other)), blind)
