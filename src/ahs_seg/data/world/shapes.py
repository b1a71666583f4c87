"""Shapes and textures of the objects of the drawn world, as functions of object coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.floating[Any]]
"""Array with one value per pixel of an object's bounding box."""


def _circle(u: Plane, v: Plane) -> Plane:
    return np.hypot(u, v) - np.float32(0.92)


def _square(u: Plane, v: Plane) -> Plane:
    return np.maximum(np.abs(u), np.abs(v)) - np.float32(0.8)


def _triangle(u: Plane, v: Plane) -> Plane:
    return np.maximum(np.abs(u) * np.float32(0.866) - v * np.float32(0.5), v) - np.float32(0.55)


def _star(u: Plane, v: Plane) -> Plane:
    turn = np.float32(2 * np.pi / 5)
    angle = np.arctan2(u, -v)
    angle = np.abs(angle - np.round(angle / turn) * turn)
    radius = np.hypot(u, v)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    # Edge from the tip (1, 0) to the inner corner at half a turn, 0.42 from the centre.
    inner_x, inner_y = 0.42 * np.cos(turn / 2), 0.42 * np.sin(turn / 2)
    length = np.hypot(inner_y, 1 - inner_x)
    normal_x, normal_y = np.float32(inner_y / length), np.float32((1 - inner_x) / length)
    return (x - np.float32(1)) * normal_x + y * normal_y


def _ring(u: Plane, v: Plane) -> Plane:
    return np.abs(np.hypot(u, v) - np.float32(0.68)) - np.float32(0.27)


def _cross(u: Plane, v: Plane) -> Plane:
    a, b = np.abs(u), np.abs(v)
    short, long = np.minimum(a, b), np.maximum(a, b)
    return np.maximum(short - np.float32(0.32), long - np.float32(0.95))


def _heart(u: Plane, v: Plane) -> Plane:
    a = np.abs(u)
    lobe = np.hypot(a - np.float32(0.44), v + np.float32(0.34)) - np.float32(0.52)
    side = (a + v) * np.float32(0.7071) - np.float32(0.59)
    point = np.maximum(side, -v - np.float32(0.28))
    return np.minimum(lobe, np.maximum(point, a - np.float32(0.96)))


def _crescent(u: Plane, v: Plane) -> Plane:
    outer = np.hypot(u, v) - np.float32(0.95)
    hole = np.hypot(u - np.float32(0.56), v) - np.float32(0.72)
    return np.maximum(outer, -hole)


def _flower(u: Plane, v: Plane) -> Plane:
    petals = np.float32(0.7) + np.float32(0.23) * np.cos(np.float32(6) * np.arctan2(v, u))
    return (np.hypot(u, v) - petals) * np.float32(0.6)


def _arrow(u: Plane, v: Plane) -> Plane:
    head = np.maximum(np.abs(u) * np.float32(0.78) - (v + np.float32(0.95)) * np.float32(0.62), v + np.float32(0.02))
    shaft = np.maximum(np.abs(u) - np.float32(0.27), np.abs(v - np.float32(0.44)) - np.float32(0.5))
    return np.minimum(head, shaft)


def _diamond(u: Plane, v: Plane) -> Plane:
    return (np.abs(u) * np.float32(1.6) + np.abs(v) - np.float32(0.98)) * np.float32(0.53)


def _house(u: Plane, v: Plane) -> Plane:
    roof = np.maximum(np.abs(u) * np.float32(0.64) - (v + np.float32(0.92)) * np.float32(0.77), v + np.float32(0.12))
    walls = np.maximum(np.abs(u) - np.float32(0.6), np.abs(v - np.float32(0.29)) - np.float32(0.57))
    return np.minimum(roof, walls)


OUTLINES: Final[dict[str, Callable[[Plane, Plane], Plane]]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "ring": _ring,
    "cross": _cross,
    "heart": _heart,
    "crescent": _crescent,
    "flower": _flower,
    "arrow": _arrow,
    "diamond": _diamond,
    "house": _house,
}
"""Signed distance functions of the shapes, negative inside, slope about 1; v points down, shapes span about [-1, 1]."""


def surface(texture: str, u: Plane, v: Plane, distance: Plane, radius: float, phase: Plane) -> Plane:
    """Weight of the second colour tone at each pixel for a texture, in [0, 1].

    `radius` is the size of one unit in pixels (pattern edges are one pixel soft); `phase` shifts the pattern.
    """
    wave = radius / math.pi / 2.4  # pixels per radian of the patterns below
    if texture == "plain":
        return np.zeros_like(u)
    if texture == "striped":
        return _soft(np.sin((u + phase[0]) * np.float32(3.0 * np.pi)), wave)
    if texture == "checkered":
        return _soft(
            np.sin((u + phase[0]) * np.float32(2.4 * np.pi)) * np.sin((v + phase[1]) * np.float32(2.4 * np.pi)), wave
        )
    if texture == "dotted":
        x = (u + phase[0]) / np.float32(0.56)
        y = (v + phase[1]) / np.float32(0.56)
        x, y = x - np.round(x), y - np.round(y)
        return _soft(np.float32(0.3) - np.hypot(x, y), 0.56 * radius)
    if texture == "ringed":
        return _soft(np.sin(np.hypot(u, v) * np.float32(3.6 * np.pi) + phase[0] * np.float32(6.28)), wave)
    if texture == "speckled":
        return _speckle(u.shape, phase)
    if texture == "framed":
        return _soft(distance + np.float32(0.2), radius)
    raise ValueError(f"unknown texture {texture!r}")


def _soft(value: Plane, sharpness: float) -> Plane:
    return np.clip(value * np.float32(sharpness) + np.float32(0.5), 0, 1)


def _speckle(shape: tuple[int, ...], phase: Plane) -> Plane:
    grain = _grain()
    rows, columns = (
        (np.arange(side) + int(part * len(grain))) % len(grain) for part, side in zip(phase, shape, strict=True)
    )
    return grain[rows[:, None], columns]


@cache
def _grain() -> Plane:
    """Texture of irregular spots, about two pixels wide, that cover a third of the area."""
    noise = np.random.default_rng(20_240_501).standard_normal((384, 384)).astype(np.float32)
    smooth = np.sum([np.roll(noise, (dy, dx), (0, 1)) for dy in (0, 1) for dx in (0, 1)], 0)
    return np.clip((smooth / np.float32(2) - np.float32(0.45)) * np.float32(4) + np.float32(0.5), 0, 1)
