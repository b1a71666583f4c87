"""Overlay format: images with class colours and a legend, for viewing."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ahs_seg.io.atomic import replacing_file
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.formats.base import ExportItem
from ahs_seg.output.legend import OverlayStyle, overlay_with_legend

IMAGE_FORMATS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
DOUBTFUL: Final = "doubtful: new to this model"
"""First line of the legend of a result with warnings, which are too long for it."""
PNG_LEVEL: Final = 1
"""PNG compression level; higher ones gain little on photographs (level 6: 7 % smaller files, four times the time)."""


def write_overlay(item: ExportItem, path: Path, style: OverlayStyle | None = None) -> None:
    """Write the overlay with its names and legend as PNG, JPEG or WebP, depending on the suffix of the path."""
    rendered = Image.fromarray(overlay_of(item, style))
    with replacing_file(path) as file:
        rendered.save(file, IMAGE_FORMATS[path.suffix.lower()], compress_level=PNG_LEVEL)


def overlay_of(item: ExportItem, style: OverlayStyle | None = None) -> UInt8[np.ndarray, "_ _ 3"]:
    """Overlay of one image of a run; the frames of a video have the same size, and the same colours for a class."""
    result = item.result
    note = DOUBTFUL if result.warnings else ""
    names = result.vocabulary.labels
    colours = None if item.frame is None else ClassColours(names).every()
    return overlay_with_legend(result.image, result.labels, names, style=style, note=note, colours=colours)
