"""Conversion of binary masks to polygons with holes that reproduce the mask exactly.

A polygon follows the edges between pixels, so that its vertices are integers (x to the right, y down, the image spans
(0, 0) to (width, height)) and it contains exactly the centres of the mask's pixels. Pixels that touch only at a corner
belong to different polygons.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int64

Ring: TypeAlias = Float[np.ndarray, "_ 2"]
"""Vertices (x, y) of a closed polygon ring; the first is not repeated at the end."""


Corner: TypeAlias = tuple[float, float]


class Polygon(NamedTuple):
    """One connected component of a mask: its outline (clockwise on the screen) and its holes (counterclockwise)."""

    outline: Ring
    holes: tuple[Ring, ...] = ()


def mask_to_polygons(mask: Bool[np.ndarray, "H W"], *, tolerance: float = 0.0) -> list[Polygon]:
    """One polygon per connected component of a mask, from top to bottom, each with its holes.

    With `tolerance`, vertices are removed as long as they lie within that many pixels of the simplified ring (Douglas
    and Peucker, 1973); rings that collapse to a line are dropped.
    """
    from scipy import ndimage  # takes half a second, and few formats have polygons

    parts, _ = ndimage.label(mask)
    outlines: dict[int, Ring] = {}
    holes: defaultdict[int, list[Ring]] = defaultdict(list)
    for ring in _rings(mask):
        x, y = ring[0]
        if mask[y, x]:
            outlines[int(parts[y, x])] = simplified(ring.astype(np.float64), tolerance)
        else:  # the pixel above the highest edge of a hole belongs to the part around it
            holes[int(parts[y - 1, x])].append(simplified(ring[::-1].astype(np.float64), tolerance))
    return [
        Polygon(outline, tuple(hole for hole in holes[part] if len(hole) > 2))
        for part, outline in outlines.items()
        if len(outline) > 2
    ]


def _rings(mask: Bool[np.ndarray, "H W"]) -> list[Int64[np.ndarray, "n 2"]]:
    """Boundary rings of a mask, each starting at its topmost (then leftmost) vertex and running to the right.

    Sorted by row, successive pairs of vertices of rectilinear rings are the ends of horizontal edges; sorted by column,
    the ends of vertical edges. Where two pixels touch only at a corner, each gets a vertex of its own there.
    """
    padded = np.pad(mask, 1).astype(np.int8)
    upper_left, upper_right = padded[:-1, :-1], padded[:-1, 1:]
    lower_left, lower_right = padded[1:, :-1], padded[1:, 1:]
    total = upper_left + upper_right + lower_left + lower_right
    diagonal = (total == 2) & (upper_left == lower_right)
    rows, columns = np.nonzero((total % 2 == 1) | diagonal)
    twice = diagonal[rows, columns]
    falling = (upper_left[rows, columns] == 1)[twice]  # the two pixels are the upper left and the lower right one
    rows, columns = np.concatenate([rows, rows[twice]]), np.concatenate([columns, columns[twice]])
    # Sorting is stable: of two corners at one place the horizontal edge of the second goes right, and the vertical edge
    # goes down from the second if the pixels are falling, otherwise from the first.
    order = np.lexsort((columns, rows))
    along = np.ones(len(rows), np.int64)
    along[len(rows) - len(falling) :] = falling
    down = _partners(np.lexsort((along, rows, columns)))
    points = np.stack([columns, rows], 1)
    return [points[ring] for ring in _walk(order, _partners(order), down)]


def _partners(order: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    partner = np.empty(len(order), np.int64)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    return partner


def _walk(
    starts: Int64[np.ndarray, " n"], across: Int64[np.ndarray, " n"], down: Int64[np.ndarray, " n"]
) -> list[list[int]]:
    horizontal, vertical = across.tolist(), down.tolist()
    visited = [False] * len(horizontal)
    rings = []
    for start in starts.tolist():
        if visited[start]:
            continue
        ring, corner = [], start
        while not visited[corner]:
            other = horizontal[corner]
            visited[corner] = visited[other] = True
            ring += [corner, other]
            corner = vertical[other]
        rings.append(ring)
    return rings


def simplified(ring: Ring, tolerance: float) -> Ring:
    """Ring simplified to fewer vertices; no removed vertex is farther than `tolerance` from the new ring."""
    if tolerance <= 0 or len(ring) < 4:
        return ring
    far = int(np.square(ring - ring[0]).sum(1).argmax())
    closed = np.concatenate([ring, ring[:1]])
    keep = np.zeros(len(closed), np.bool_)
    keep[[0, far, -1]] = True
    waiting = [(0, far), (far, len(closed) - 1)]
    while waiting:
        start, end = waiting.pop()
        if end - start < 2:
            continue
        distances = _distances(closed[start + 1 : end], closed[start], closed[end])
        worst = int(distances.argmax())
        if distances[worst] > tolerance:
            middle = start + 1 + worst
            keep[middle] = True
            waiting += [(start, middle), (middle, end)]
    return closed[:-1][keep[:-1]]


def _distances(points: Ring, start: Float[np.ndarray, " 2"], end: Float[np.ndarray, " 2"]) -> Float[np.ndarray, " n"]:
    """Distance of every point from the line segment between `start` and `end`."""
    line = end - start
    length = float(line @ line)
    share = np.clip((points - start) @ line / length, 0, 1) if length else np.zeros(len(points))
    result: np.ndarray = np.sqrt(np.square(points - start - share[:, None] * line).sum(1))
    return result


def keyhole(polygon: Polygon) -> Ring:
    """Single ring for a polygon with holes: each hole is connected to the ring on its left by a zero-width cut.

    For formats without holes. Filling it by the even-odd or the non-zero rule gives the same pixels.
    """
    holes = [np.roll(hole, -int(np.lexsort((hole[:, 1], hole[:, 0]))[0]), 0) for hole in polygon.holes]
    rings = [polygon.outline, *sorted(holes, key=lambda hole: tuple(hole[0]))]
    points = np.concatenate(rings)
    following = np.concatenate([np.roll(ring, -1, 0) for ring in rings])
    first = np.cumsum([0, *map(len, rings)]).tolist()
    cuts: defaultdict[int, list[tuple[float, int, Corner]]] = defaultdict(list)
    for number in range(1, len(rings)):  # a hole is attached to the outline or to a hole that begins farther left
        edge, entry = _left_of(points[: first[number]], following[: first[number]], *rings[number][0].tolist())
        cuts[edge].append((float(np.abs(points[edge] - entry).sum()), number, entry))

    def steps(number: int) -> Iterator[Corner | int]:
        """Vertices of a ring, and the numbers of the holes attached to it, in order."""
        for edge in range(first[number], first[number + 1]):
            yield _corner(points[edge])
            for _, hole, entry in sorted(cuts[edge]):
                yield from (entry, hole, entry)
        if number:
            yield _corner(points[first[number]])

    corners, waiting = [], [steps(0)]
    while waiting:
        step = next(waiting[-1], None)
        if step is None:
            waiting.pop()
        elif isinstance(step, int):
            waiting.append(steps(step))
        else:
            corners.append(step)
    return np.array(corners)


def _left_of(points: Ring, following: Ring, x: float, y: float) -> tuple[int, Corner]:
    """First edge (from `points` to `following`) hit by a ray from (x, y) to the left, and the point where it is hit."""
    low, high = np.minimum(points[:, 1], following[:, 1]), np.maximum(points[:, 1], following[:, 1])
    rise = following[:, 1] - points[:, 1]
    slope = np.divide(following[:, 0] - points[:, 0], rise, out=np.zeros(len(rise)), where=rise != 0)
    meets = points[:, 0] + (y - points[:, 1]) * slope
    usable = (low <= y) & (y <= high) & (rise != 0) & (meets <= x)
    if not usable.any():  # a simplified hole may stick out of its simplified outline
        edge = int(np.square(points - (x, y)).sum(1).argmin())
        return edge, _corner(points[edge])
    edge = int(np.where(usable, meets, -np.inf).argmax())
    return edge, (float(meets[edge]), y)


def _corner(point: Float[np.ndarray, " 2"]) -> Corner:
    x, y = point.tolist()
    return x, y
