"""Pictures tinted by their classes, with a legend; to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image

from ahs_seg.io.atomic import replacing_file
from ahs_seg.output.formats.base import ExportItem
from ahs_seg.output.legend import segmented

PICTURE_FORMATS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
PNG_LEVEL: Final = 1
"""Photographs hardly pack better at higher levels (6: 7 % smaller files in four times the time)."""


def write_overlay(item: ExportItem, path: Path) -> None:
    """The tinted picture with its legend, as PNG, JPEG or WebP by the suffix of the path."""
    result = item.result
    picture = Image.fromarray(segmented(result.image, result.labels, result.vocabulary.labels))
    with replacing_file(path) as file:
        picture.save(file, PICTURE_FORMATS[path.suffix.lower()], compress_level=PNG_LEVEL)
