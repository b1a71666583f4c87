"""Rendering of objects and camera effects (lighting, blur, noise) on an image array."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ahs_seg.data.world.names import COLOURS, Thing
from ahs_seg.data.world.shapes import OUTLINES, Plane, surface
from ahs_seg.data.world.stuff import DrawnImage

SHADING: Final = 0.22
GAIN: Final = 0.20
NOISE: Final = (3 / 255, 12 / 255)
BLUR_PROBABILITY: Final = 0.3
ROTATION: Final = 0.5
ASPECT: Final = 0.15


@dataclass(frozen=True, slots=True)
class Placement:
    """Position, size, orientation and tint of one object, in pixels and radians; `aspect` is width over height."""

    thing: Thing
    row: float
    column: float
    radius: float
    angle: float
    aspect: float
    phase: Plane
    tint: Plane


def place(
    thing: Thing, row: float, column: float, radius: float, rng: np.random.Generator, hard: float = 1.0
) -> Placement:
    """Placement of an object at a given position, with random rotation, aspect ratio and tint."""
    angle, aspect, first, second = rng.random(4, dtype=np.float32)
    return Placement(
        thing=thing,
        row=row,
        column=column,
        radius=radius,
        angle=float(2 * angle - 1) * ROTATION * hard,
        aspect=1 + float(2 * aspect - 1) * ASPECT * hard,
        phase=np.array([first, second], np.float32),
        tint=rng.standard_normal(3, dtype=np.float32) * np.float32(0.03 * hard),
    )


def draw(image: DrawnImage, item: Placement) -> tuple[tuple[slice, slice], Plane] | None:
    """Bounding box and opacity of an object after drawing it into `image`; `None` if it lies outside."""
    box = _box(item, image.shape[0], image.shape[1])
    if box is None:
        return None
    rows, columns = box
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(item.row)
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None] - np.float32(item.column)
    cosine, sine = np.float32(np.cos(item.angle)), np.float32(np.sin(item.angle))
    stretch = np.float32(np.sqrt(item.aspect))
    u = (cosine * x + sine * y) / (np.float32(item.radius) * stretch)
    v = (cosine * y - sine * x) / (np.float32(item.radius) / stretch)
    distance = OUTLINES[item.thing.shape](u, v)
    opacity = np.clip(np.float32(0.5) - distance * np.float32(item.radius), 0, 1)
    first, second = tones(item.thing.colour)
    pattern = surface(item.thing.texture, u, v, distance, item.radius, item.phase)[..., None]
    paint = np.clip(first + item.tint + pattern * (second - first), 0, 1)
    target = image[rows, columns]
    target += opacity[..., None] * (paint - target)
    return box, opacity


@cache
def tones(colour: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """RGB of a colour, and of the lighter or darker tone of its patterns."""
    first = np.array(COLOURS[colour], np.float32)
    bright = float(first @ np.array([0.3, 0.59, 0.11], np.float32)) > 0.45
    second = first * np.float32(0.35) if bright else first * np.float32(0.45) + np.float32(0.52)
    return first, second


def finish(image: DrawnImage, rng: np.random.Generator, hard: float) -> NDArray[np.uint8]:
    """8-bit image with simulated camera effects: uneven lighting, exposure, occasional blur, and noise.

    `hard` scales the strength of the effects; 0 leaves the image as drawn.
    """
    height, width = image.shape[:2]
    gain, turn, light, blur, sigma = rng.random(5, dtype=np.float32)
    slope_y, slope_x = np.sin(turn * 2 * np.pi), np.cos(turn * 2 * np.pi)
    ramp = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * slope_y
    ramp = ramp + np.linspace(-1, 1, width, dtype=np.float32)[None] * slope_x
    light_map = (1 + ramp * np.float32(SHADING * hard * light)) * np.float32(1 + GAIN * hard * (2 * gain - 1))
    image = image * light_map[..., None].astype(np.float32)
    if blur < BLUR_PROBABILITY * hard:
        image = _blur(image)
    noise = np.float32((NOISE[0] + (NOISE[1] - NOISE[0]) * sigma) * hard)
    image += rng.standard_normal(image.shape, dtype=np.float32) * noise
    return (np.clip(image, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def _box(item: Placement, height: int, width: int) -> tuple[slice, slice] | None:
    reach = item.radius * 1.32 + 2  # corners of a square reach 0.8 * sqrt(2), stretched by the aspect
    top, bottom = max(0, int(item.row - reach)), min(height, int(item.row + reach) + 1)
    left, right = max(0, int(item.column - reach)), min(width, int(item.column + reach) + 1)
    if top >= bottom or left >= right:
        return None
    return slice(top, bottom), slice(left, right)


def _blur(image: DrawnImage) -> DrawnImage:
    rows = np.concatenate([image[:1], image, image[-1:]], 0)
    image = (rows[:-2] + rows[2:]) * np.float32(0.25) + image * np.float32(0.5)
    columns = np.concatenate([image[:, :1], image, image[:, -1:]], 1)
    return (columns[:, :-2] + columns[:, 2:]) * np.float32(0.25) + image * np.float32(0.5)
