"""Overlay format: images with class colours and a legend, for viewing."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image

from ahs_seg.io.atomic import replacing_file
from ahs_seg.output.formats.base import ExportItem
from ahs_seg.output.legend import overlay_with_legend

IMAGE_FORMATS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
DOUBTFUL: Final = "doubtful: new to this model"
"""First line of the legend of a result with warnings, which are too long for it."""
PNG_LEVEL: Final = 1
"""PNG compression level; higher ones gain little on photographs (level 6: 7 % smaller files, four times the time)."""


def write_overlay(item: ExportItem, path: Path) -> None:
    """Write the overlay with its legend as PNG, JPEG or WebP, depending on the suffix of the path."""
    result = item.result
    rendered = Image.fromarray(
        overlay_with_legend(
            result.image, result.labels, result.vocabulary.labels, note=DOUBTFUL if result.warnings else ""
        )
    )
    with replacing_file(path) as file:
        rendered.save(file, IMAGE_FORMATS[path.suffix.lower()], compress_level=PNG_LEVEL)
