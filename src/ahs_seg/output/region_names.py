"""Where the names of classes stand on an image: in each large region, at its pole of inaccessibility.

The pole of inaccessibility of a region is its point farthest from its edge, and the centre of the largest circle inside
it. It is found with the distance transform of the region. Names never overlap and never leave the image: where the pole
is taken, the name moves to the farthest point that is free.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Integer

from ahs_seg.output.palette import areas, bounding_window

LARGE: Final = 0.004
"""Smallest share of the image of a region that has its name on it."""
MOST: Final = 80
"""Most names on an image."""

_LONGEST: Final = 240
"""Rows and columns of the label map in which the places are looked for."""
_ROOM: Final = 0.45
"""Smallest radius of the circle inside a region, as a share of the height of its name."""


@dataclass(frozen=True, slots=True)
class PlacedName:
    """The name of a region: its text, and the box (left, top, right, bottom) in pixels that it fills."""

    label: int
    text: str
    box: tuple[int, int, int, int]


def place_names(
    labels: Integer[np.ndarray, "H W"], names: Mapping[int, str], size_of: Callable[[str], tuple[int, int]]
) -> list[PlacedName]:
    """Places of the names of the large regions, the largest first; `size_of` is the (height, width) of a text.

    `names` has the text of each label that may be named. A region is a connected part of a class.
    """
    steps = -(-labels.shape[0] // _LONGEST), -(-labels.shape[1] // _LONGEST)
    small = np.ascontiguousarray(labels[steps[0] // 2 :: steps[0], steps[1] // 2 :: steps[1]])
    placed: list[PlacedName] = []
    for label, window, region in _regions(small, list(names)):
        text = names[label]
        height, width = size_of(text)
        centre = _free_pole(region, window, [one.box for one in placed], (height, width), labels.shape, steps)
        if centre is not None:
            top, left = centre[0] - height // 2, centre[1] - width // 2
            placed.append(PlacedName(label, text, (left, top, left + width, top + height)))
        if len(placed) == MOST:
            break
    return placed


def _regions(
    labels: Integer[np.ndarray, "h w"], named: Sequence[int]
) -> list[tuple[int, tuple[slice, slice], Bool[np.ndarray, "_ _"]]]:
    """Label, window and mask of every large connected region, the largest first."""
    from scipy import ndimage  # takes half a second, and few results are drawn

    found = []
    pixels = areas(labels)
    large = [label for label in named if pixels.get(label, 0) >= LARGE * labels.size]
    for label in large:
        mask = labels == label
        outer = bounding_window(mask)
        parts, _ = ndimage.label(mask[outer])
        sizes = np.bincount(parts.ravel())
        windows = ndimage.find_objects(parts)
        for part in np.flatnonzero(sizes[1:] >= LARGE * labels.size) + 1:
            inner = windows[part - 1]
            window = tuple(slice(a.start + b.start, a.start + b.stop) for a, b in zip(outer, inner, strict=True))
            found.append((int(sizes[part]), label, (window[0], window[1]), parts[inner] == part))
    found.sort(key=lambda one: (-one[0], one[1]))
    return [one[1:] for one in found]


def _free_pole(
    region: Bool[np.ndarray, "_ _"],
    window: tuple[slice, slice],
    taken: Sequence[tuple[int, int, int, int]],
    size: tuple[int, int],
    image: tuple[int, ...],
    steps: tuple[int, int],
) -> tuple[int, int] | None:
    """The centre (row, column) in pixels of the image for a box of this size; `None` if there is no room."""
    from scipy import ndimage  # as above

    depth: Float[np.ndarray, "_ _"] = ndimage.distance_transform_edt(np.pad(region, 1), steps)[1:-1, 1:-1]
    rows = np.arange(window[0].start, window[0].stop) * steps[0] + steps[0] // 2
    columns = np.arange(window[1].start, window[1].stop) * steps[1] + steps[1] // 2
    above, left = size[0] // 2, size[1] // 2
    below, right = size[0] - above, size[1] - left
    inside = (rows >= above) & (rows + below <= image[0]), (columns >= left) & (columns + right <= image[1])
    depth = depth * (inside[0][:, None] & inside[1])
    for box in taken:
        across = (columns + right > box[0]) & (columns - left < box[2])
        down = (rows + below > box[1]) & (rows - above < box[3])
        depth[np.ix_(down, across)] = 0
    at = np.unravel_index(int(depth.argmax()), depth.shape)
    return (int(rows[at[0]]), int(columns[at[1]])) if depth[at] >= _ROOM * size[0] else None
