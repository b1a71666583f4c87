"""Regions of a label map as SVG shapes over an image: their names in place, and what is shown on hover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Integer

from ahs_seg.output.formats.polygons import Polygon, mask_to_polygons
from ahs_seg.output.lettering import width_of
from ahs_seg.output.palette import by_area
from ahs_seg.output.region_names import place_names

SIDE: Final = 240
"""Longest side of the grid on which outlines are traced, in pixels."""
TOLERANCE: Final = 0.7
"""Distance in pixels of that grid by which outlines may be simplified."""
NAMES_PER_WIDTH: Final = 22
"""Width of an image in heights of its names: 15 pixels of text on an image of 330."""


@dataclass(frozen=True, slots=True)
class RegionShape:
    """All regions of a class: an SVG path, and what is shown when the pointer is on it."""

    path: str
    title: str


@dataclass(frozen=True, slots=True)
class RegionName:
    """A name on a region: its text and its centre in pixels of the label map."""

    text: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class RegionLayer:
    """What lies over an image of `width` x `height` pixels; names are `size` pixels high."""

    width: int
    height: int
    size: int
    shapes: tuple[RegionShape, ...]
    names: tuple[RegionName, ...]


def region_layer(
    labels: Integer[np.ndarray, "H W"], names: Mapping[int, str], titles: Mapping[int, str]
) -> RegionLayer:
    """Shapes of all classes present in a label map, the largest first, and names on its large regions."""
    height, width = labels.shape
    size = max(10, round(width / NAMES_PER_WIDTH))
    step = -(-max(labels.shape) // SIDE)
    small = np.ascontiguousarray(labels[step // 2 :: step, step // 2 :: step])
    shapes = [
        RegionShape(path, titles[label])
        for label in by_area(labels)
        if (path := "".join(_path(polygon, step) for polygon in mask_to_polygons(small == label, tolerance=TOLERANCE)))
    ]
    present = {label: names[label] for label in by_area(labels)}
    placed = place_names(labels, present, lambda text: (round(1.3 * size), width_of(text, size) + size // 2))
    written = [
        RegionName(one.text, (one.box[0] + one.box[2]) / 2, (one.box[1] + one.box[3]) / 2)
        for one in placed
        if one.box[0] >= 0 and one.box[2] <= width
    ]
    return RegionLayer(width, height, size, tuple(shapes), tuple(written))


def _path(polygon: Polygon, step: int) -> str:
    rings = [polygon.outline, *polygon.holes]
    return "".join("M" + " ".join(f"{step * x:g},{step * y:g}" for x, y in ring) + "Z" for ring in rings)
