"""Label maps drawn in colours, alone and on the image they belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Bool, Integer, UInt8, UInt32
from PIL import Image

from ahs_seg.io.blocks import blocks
from ahs_seg.types import IGNORE

Colour: TypeAlias = tuple[int, int, int]
"""Red, green and blue, each in 0 to 255."""

ENLARGED_SIDE: Final = 4096
"""Longest side in pixels to which a small image is enlarged for viewing."""

_CONTOUR_SHADE: Final = 0.55
_GREYS: Final = 256


def areas(labels: Integer[np.ndarray, "_ _"]) -> dict[int, int]:
    """Pixel count of every label in a label map, largest first; ignored pixels are not counted."""
    counts: Counter[int] = Counter()
    for rows, columns in blocks(labels.shape):
        block = np.bincount((labels[rows, columns] - np.intp(IGNORE)).ravel())[-IGNORE:]
        found = np.flatnonzero(block)
        counts.update(dict(zip(found.tolist(), block[found].tolist(), strict=True)))
    return {label: counts[label] for label in sorted(counts, key=lambda label: (-counts[label], label))}


def by_area(*maps: Integer[np.ndarray, "_ _"]) -> list[int]:
    """Labels present in the given label maps, sorted by area in the first map, followed by those of the next maps."""
    return list(dict.fromkeys(label for labels in maps for label in areas(labels)))


def bounding_window(mask: Bool[np.ndarray, "_ _"]) -> tuple[slice, slice]:
    """Rows and columns of the smallest window with all pixels of a mask that has some."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def render_labels(labels: Integer[np.ndarray, "H W"], colours: Mapping[int, Colour]) -> UInt8[np.ndarray, "H W 3"]:
    """Label map rendered as an RGB image; labels without a colour are mid grey."""
    table = np.full((max(int(labels.max(initial=0)), *colours, 0) - IGNORE + 1, 3), 128, np.uint8)
    for label, value in colours.items():
        table[label - IGNORE] = value
    return table.take(labels - np.intp(IGNORE), axis=0)


def overlay(
    image: UInt8[np.ndarray, "H W 3"],
    labels: Integer[np.ndarray, "h w"],
    colours: Mapping[int, Colour],
    *,
    strength: float = 0.6,
) -> UInt8[np.ndarray, "H W 3"]:
    """Overlay of label colours on the input image, with a thin dark contour between adjacent labels.

    Labelled pixels keep the brightness of the input image but not its hue, so that colours match the legend; ignored
    pixels are unchanged. `strength` is the opacity of the label colour, 0 to 1.
    """
    if labels.shape != image.shape[:2]:
        raise ValueError(
            f"labels are {labels.shape[1]}x{labels.shape[0]}, the image {image.shape[1]}x{image.shape[0]}; "
            "pass labels of the same size as the image."
        )
    result = np.empty_like(image)
    for rows, columns in blocks(labels.shape):
        with_neighbours = labels[rows.start : rows.stop + 1, columns.start : columns.stop + 1]
        height, width = rows.stop - rows.start, columns.stop - columns.start
        contour = borders(with_neighbours)[:height, :width]
        result[rows, columns] = _tinted(image[rows, columns], labels[rows, columns], colours, contour, strength)
    return result


def _tinted(
    image: UInt8[np.ndarray, "h w 3"],
    labels: Integer[np.ndarray, "h w"],
    colours: Mapping[int, Colour],
    contour: Bool[np.ndarray, "h w"],
    strength: float,
) -> UInt8[np.ndarray, "h w 3"]:
    grey = np.asarray(Image.fromarray(image).convert("L"))
    counts = np.bincount((labels - np.intp(IGNORE)).ravel())
    present = np.flatnonzero(counts) + IGNORE
    place = np.zeros(len(counts), np.intp)
    place[present - IGNORE] = np.arange(len(present)) * (2 * _GREYS)
    index = place.take(labels - np.intp(IGNORE))  # a table of all (label, contour or not, grey), and one look per pixel
    index += grey
    index += contour * np.intp(_GREYS)
    pixels = _tints(present, colours, strength).take(index.ravel())  # Pillow drops their fourth byte faster than NumPy
    size = labels.shape[1], labels.shape[0]
    result = np.array(Image.frombuffer("RGBX", size, pixels, "raw", "RGBX", 0, 1).convert("RGB"))
    if present[:1] == IGNORE:
        unlabelled = labels == IGNORE
        plain = image[unlabelled] * np.where(contour[unlabelled], np.float32(_CONTOUR_SHADE), np.float32(1))[:, None]
        result[unlabelled] = np.rint(plain).astype(np.uint8)
    return result


def _tints(
    labels: Integer[np.ndarray, " k"], colours: Mapping[int, Colour], strength: float
) -> UInt32[np.ndarray, " n"]:
    """Tinted pixels, four bytes each, for every label, both without and with contour, and every brightness."""
    grey = np.arange(_GREYS, dtype=np.uint8) * np.float32(1 - strength)
    plain = render_labels(labels[:, None], colours) * np.float32(strength) + grey[None, :, None]
    both = np.stack([plain, plain * np.float32(_CONTOUR_SHADE)], 1)
    table = np.zeros((*both.shape[:-1], 4), np.uint8)
    table[..., :3] = np.rint(both)
    return table.view(np.uint32).ravel()


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
