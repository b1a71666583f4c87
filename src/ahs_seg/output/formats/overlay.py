"""Overlay format: images with class colours and a legend, for viewing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ahs_seg.io.atomic import replacing_file, write_png
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.formats.base import ExportItem, FormatError
from ahs_seg.output.legend import OverlayStyle, overlay_with_legend

IMAGE_FORMATS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
DOUBTFUL: Final = "doubtful: new to this model"
"""First line of the legend of a result with warnings, which are too long for it."""
QUALITY: Final = {".jpg": 90, ".jpeg": 90, ".webp": 80}
"""Quality of the formats with loss, from 0 to 100; with less, the letters of names show rings."""
_LONGEST: Final = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}
"""Longest side in pixels that their encoders (libjpeg, libwebp) write."""
_WEBP_METHOD: Final = 0
"""Effort of the WebP encoder, 0 to 6; higher ones gain a tenth in size for three times the time."""


def write_overlay(item: ExportItem, path: Path, style: OverlayStyle | None = None) -> None:
    """Write the overlay with its names and legend as PNG, JPEG or WebP, depending on the suffix of the path.

    Raises:
        FormatError: it is too wide or too high for the format.
    """
    write_image(path, overlay_of(item, style))


def write_image(path: Path, pixels: UInt8[np.ndarray, "H W 3"]) -> None:
    """Replace a PNG, JPEG or WebP file, depending on the suffix of the path; a PNG holds the pixels without loss.

    Raises:
        FormatError: the image is too wide or too high for the format.
    """
    suffix = path.suffix.lower()
    if suffix == ".png":
        write_png(path, pixels)
        return
    (height, width), longest = pixels.shape[:2], _LONGEST[suffix]
    if max(height, width) > longest:
        others = "png or jpg" if max(height, width) <= _LONGEST[".jpg"] else "png"
        raise FormatError(
            f"{path}: an overlay of {width}x{height} pixels; {IMAGE_FORMATS[suffix]} takes at most {longest} a side. "
            f"Write it as {others}."
        )
    with replacing_file(path) as file:
        Image.fromarray(pixels).save(file, IMAGE_FORMATS[suffix], quality=QUALITY[suffix], method=_WEBP_METHOD)


def note_of(warnings: Sequence[str]) -> str:
    """First line of the legend of a result with these warnings; "" if there are none."""
    return DOUBTFUL if warnings else ""


def overlay_of(item: ExportItem, style: OverlayStyle | None = None) -> UInt8[np.ndarray, "_ _ 3"]:
    """Overlay of one image of a run; the frames of a video have the same size, and the same colours for a class."""
    result = item.result
    names = result.vocabulary.labels
    colours = None if item.frame is None else ClassColours(names).every()
    return overlay_with_legend(
        result.image, result.labels, names, style=style, note=note_of(result.warnings), colours=colours
    )
