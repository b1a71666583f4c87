"""Colour palette for class labels, and overlays of label maps on images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8
from PIL import Image

from ahs_seg.io.blocks import blocks
from ahs_seg.types import IGNORE

Colour: TypeAlias = tuple[int, int, int]

STABLE_CLASSES: Final = 24
"""Largest vocabulary with a fixed colour per class; for larger ones, colours are assigned for each image."""

ENLARGED_SIDE: Final = 4096
"""Longest side in pixels to which a small image is enlarged for viewing."""

_COUNT: Final = 512
_LIGHTNESS: Final = (0.45, 0.86)
_CHROMA: Final = (0.06, 0.2)
_FIRST: Final = np.array(
    [
        *[(64, 112, 184), (238, 140, 48), (84, 160, 76), (212, 72, 72), (142, 100, 184), (46, 170, 166)],
        *[(230, 196, 64), (226, 122, 176), (142, 100, 70), (128, 184, 232), (164, 190, 76), (166, 64, 118)],
    ],
    np.uint8,
)
"""Blue, orange, green, red, violet, teal, yellow, pink, brown, sky, lime, plum."""
_CONTOUR_SHADE: Final = 0.55

_RGB_TO_CONES: Final = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_CONES_TO_LAB: Final = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def colour(index: int) -> Colour:
    """Colour of label `index`: distinct from all colours before it, of medium lightness; repeats after 512."""
    red, green, blue = _table()[index % _COUNT].tolist()
    return red, green, blue


def colours_for(present: Iterable[int], classes: int) -> dict[int, Colour]:
    """Colour of each label in `present` (most important first), for a vocabulary of `classes` classes.

    In a small vocabulary label k always has colour k. In a large one, later colours of the palette are hard to
    distinguish, so the labels of one image get the first, most distinct colours; show such an image with a legend.
    """
    labels = [label for label in dict.fromkeys(present) if label != IGNORE]
    if classes <= STABLE_CLASSES:
        return {label: colour(label) for label in labels}
    return {label: colour(rank) for rank, label in enumerate(labels)}


def areas(labels: Integer[np.ndarray, "_ _"]) -> dict[int, int]:
    """Pixel count of every label in a label map, largest first; ignored pixels are not counted."""
    counts: Counter[int] = Counter()
    for rows, columns in blocks(labels.shape):
        block = np.bincount(labels[rows, columns].ravel().astype(np.intp) - IGNORE)[-IGNORE:]
        found = np.flatnonzero(block)
        counts.update(dict(zip(found.tolist(), block[found].tolist(), strict=True)))
    return {label: counts[label] for label in sorted(counts, key=lambda label: (-counts[label], label))}


def by_area(*maps: Integer[np.ndarray, "_ _"]) -> list[int]:
    """Labels present in the given label maps, sorted by area in the first map, followed by those of the next maps."""
    return list(dict.fromkeys(label for labels in maps for label in areas(labels)))


def render_labels(labels: Integer[np.ndarray, "H W"], colours: Mapping[int, Colour]) -> UInt8[np.ndarray, "H W 3"]:
    """Label map rendered as an RGB image; labels without a colour are mid grey."""
    table = np.full((max(int(labels.max(initial=0)), *colours, 0) - IGNORE + 1, 3), 128, np.uint8)
    for label, value in colours.items():
        table[label - IGNORE] = value
    return table.take(labels - np.intp(IGNORE), axis=0)


def overlay(
    image: UInt8[np.ndarray, "H W 3"],
    labels: Integer[np.ndarray, "h w"],
    colours: Mapping[int, Colour] | None = None,
    *,
    strength: float = 0.6,
) -> UInt8[np.ndarray, "H W 3"]:
    """Overlay of label colours on the input image, with a thin dark contour between adjacent labels.

    Labelled pixels keep the brightness of the input image but not its hue, so that colours match the legend; ignored
    pixels are unchanged. `strength` is the opacity of the label colour, 0 to 1. Without `colours`, label k has colour
    k.
    """
    if labels.shape != image.shape[:2]:
        raise ValueError(
            f"labels are {labels.shape[1]}x{labels.shape[0]}, the image {image.shape[1]}x{image.shape[0]}; "
            "pass labels of the same size as the image."
        )
    chosen = {label: colour(label) for label in by_area(labels)} if colours is None else colours
    result = np.empty_like(image)
    for rows, columns in blocks(labels.shape):
        with_neighbours = labels[rows.start : rows.stop + 1, columns.start : columns.stop + 1]
        height, width = rows.stop - rows.start, columns.stop - columns.start
        contour = borders(with_neighbours)[:height, :width]
        result[rows, columns] = _tinted(image[rows, columns], labels[rows, columns], chosen, contour, strength)
    return result


def _tinted(
    image: UInt8[np.ndarray, "h w 3"],
    labels: Integer[np.ndarray, "h w"],
    colours: Mapping[int, Colour],
    contour: Bool[np.ndarray, "h w"],
    strength: float,
) -> UInt8[np.ndarray, "h w 3"]:
    grey = np.asarray(Image.fromarray(image).convert("L"))
    result = render_labels(labels, colours) * np.float32(strength)
    result += (grey * np.float32(1 - strength))[..., None]
    unlabelled = labels == IGNORE
    result[unlabelled] = image[unlabelled]
    result[contour] *= _CONTOUR_SHADE
    return np.rint(result, out=result).astype(np.uint8)


def enlarge(pixels: UInt8[np.ndarray, "H W 3"] | Integer[np.ndarray, "H W"], *, least: int = 256) -> np.ndarray:
    """Image or label map enlarged by pixel repetition until its shorter side has at least `least` pixels.

    A strip stays smaller: its longer side does not grow beyond `ENLARGED_SIDE`.
    """
    shorter, longer = sorted(pixels.shape[:2])
    factor = min(-(-least // shorter), ENLARGED_SIDE // longer)
    return pixels.repeat(factor, 0).repeat(factor, 1) if factor > 1 else pixels


def borders(labels: Integer[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Mask of the pixels whose right or lower neighbour has a different label."""
    edge = np.zeros(labels.shape, np.bool_)
    edge[:, :-1] = labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return edge


@cache
def _table() -> UInt8[np.ndarray, "n 3"]:
    """Palette of 512 colours: 12 fixed ones, then each farthest from those before it (OKLab, Ottosson 2020)."""
    grid = np.arange(4, 256, 11)
    candidates = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), -1).reshape(-1, 3).astype(np.uint8)
    lab = _oklab(candidates)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    usable = (lab[:, 0] > _LIGHTNESS[0]) & (lab[:, 0] < _LIGHTNESS[1]) & (chroma > _CHROMA[0]) & (chroma < _CHROMA[1])
    candidates, lab = candidates[usable], lab[usable]
    distance = np.square(lab[:, None] - _oklab(_FIRST)).sum(-1).min(1)
    chosen: list[int] = []
    while len(_FIRST) + len(chosen) < _COUNT:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.square(lab - lab[chosen[-1]]).sum(1))
    return np.concatenate([_FIRST, candidates[chosen]])


def _oklab(rgb: UInt8[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    part = rgb / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    result: np.ndarray = np.cbrt(linear @ _RGB_TO_CONES.T) @ _CONES_TO_LAB.T
    return result
