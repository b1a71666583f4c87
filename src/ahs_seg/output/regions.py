"""The classes found in a result as regions: area, mean score and box of each, as JSON and as GeoJSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from ahs_seg.output.formats.base import ExportResult, FormatError
from ahs_seg.output.formats.polygons import Polygon
from ahs_seg.output.palette import areas, bounding_window
from ahs_seg.types import IGNORE

_COEFFICIENTS: Final = 6
"""Coefficients of an affine transform; libraries often append the last row of its matrix (0, 0, 1)."""


@dataclass(frozen=True, slots=True)
class Region:
    """All pixels of one class: how many, their share of the image in [0, 1], the mean of their scores, and their box.

    The box is (left, top, right, bottom) in pixels; right and bottom are excluded.
    """

    label: str
    index: int
    pixels: int
    share: float
    score: float
    box: tuple[int, int, int, int]


def regions_of(result: ExportResult) -> list[Region]:
    """The classes found in a result, background among them, largest first."""
    found = []
    for index, pixels in areas(result.labels).items():
        mask = result.labels == index
        rows, columns = bounding_window(mask)
        box = (columns.start, rows.start, columns.stop, rows.stop)
        score = float(result.scores[mask].mean())
        label = result.vocabulary.labels[index]
        found.append(Region(label, index, pixels, pixels / result.labels.size, score, box))
    return found


def to_json(result: ExportResult, source: Path | None) -> str:
    """JSON text: size and file of the image, all class labels, the regions found, and the number of unknown pixels."""
    height, width = result.labels.shape
    document = {
        "image": {"width": width, "height": height, "file": None if source is None else str(source)},
        "classes": result.vocabulary.labels,
        "found": [asdict(region) for region in regions_of(result)],
        "unknown": int((result.labels == IGNORE).sum()),
    }
    return json.dumps(document, ensure_ascii=False)


def to_geojson(
    regions: Iterable[Region], polygons: dict[str, list[Polygon]], transform: Sequence[float | int] | None
) -> dict[str, Any]:
    """A GeoJSON FeatureCollection (RFC 7946) with one MultiPolygon for each class that has polygons.

    Coordinates are pixels (x to the right, y down), or those of `transform`: (a, b, c, d, e, f) of
    x' = a x + b y + c, y' = d x + e y + f, as `rasterio` has it. Outer rings run counterclockwise as RFC 7946 asks.

    Raises:
        FormatError: `transform` is not of six numbers.
    """
    place = _identity() if transform is None else tuple(float(value) for value in tuple(transform)[:_COEFFICIENTS])
    if len(place) != _COEFFICIENTS:
        raise FormatError(f"transform has {len(place)} numbers; give the six of an affine transform: a, b, c, d, e, f")
    features = []
    for region in regions:
        if parts := polygons.get(region.label):
            rings = [[_ring(ring, place, outer=not i) for i, ring in enumerate((p.outline, *p.holes))] for p in parts]
            properties = {"label": region.label, "index": region.index, "pixels": region.pixels, "score": region.score}
            geometry = {"type": "MultiPolygon", "coordinates": rings}
            features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}


def _identity() -> tuple[float, ...]:
    return (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def _ring(ring: Float[np.ndarray, "_ 2"], place: tuple[float, ...], *, outer: bool) -> list[list[float]]:
    """A closed ring in the target coordinates: the first corner is repeated, holes run clockwise."""
    a, b, c, d, e, f = place
    x, y = a * ring[:, 0] + b * ring[:, 1] + c, d * ring[:, 0] + e * ring[:, 1] + f
    doubled_area = float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))
    corners = np.stack([x, y], 1)
    if (doubled_area > 0) != outer:
        corners = corners[::-1]
    return [*corners.tolist(), corners[0].tolist()]
