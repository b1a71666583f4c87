"""PNG format: label maps with a colour palette, and the class names in a JSON file beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from ahs_seg.io.atomic import replacing_file, write_text
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.formats.base import MOST_CLASSES, ExportItem, ExportResult, check_16_bits
from ahs_seg.output.palette import areas
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary

PALETTE_SIZE: Final = 256
UNKNOWN_8_BIT: Final = 255
UNKNOWN_16_BIT: Final = MOST_CLASSES
_GREY: Final = (128, 128, 128)
_LEVEL: Final = 3
"""Compression level of label maps, 0 to 9."""


def write_names(path: Path, labels: Sequence[str], pixels: Mapping[int, int], **more: object) -> None:
    """Write the class names and pixel counts (largest first) of a label map: `scene.classes.json` for `scene.png`."""
    names = {"classes": labels, "pixels": {labels[label]: count for label, count in pixels.items()}, **more}
    write_text(path.with_suffix(".classes.json"), json.dumps(names, ensure_ascii=False, indent=1) + "\n")


def write_label_map(item: ExportItem, path: Path) -> None:
    """Write a PNG with the class index of every pixel, and its class names as `.classes.json` beside it.

    Up to 256 classes give an 8-bit palette PNG, more classes a 16-bit greyscale one; 256 classes and unknown pixels
    need 16 bits. Unknown pixels have the value 255 or 65535, as in label maps of datasets; the JSON file states it.

    Raises:
        FormatError: there are more than 65,535 classes.
    """
    result, label_map = item.result, label_map_image(item.result)
    unknown = int((result.labels == IGNORE).sum())
    value = UNKNOWN_16_BIT if _is_wide(result) else UNKNOWN_8_BIT
    more = {"unknown": {"value": value, "pixels": unknown}} if unknown else {}
    write_names(path, result.vocabulary.labels, areas(result.labels), **more)
    with replacing_file(path) as file:
        label_map.save(file, "PNG", compress_level=_LEVEL)


def label_map_image(result: ExportResult) -> Image.Image:
    """The class index of every pixel as a PIL image with the colours of the classes as palette, as in the file."""
    check_16_bits(result.vocabulary)
    unknown = result.labels == IGNORE
    if _is_wide(result):
        return Image.fromarray(np.where(unknown, UNKNOWN_16_BIT, result.labels).astype(np.uint16))
    label_map = Image.fromarray(np.where(unknown, UNKNOWN_8_BIT, result.labels).astype(np.uint8))
    label_map.putpalette(palette_of(result.vocabulary))
    return label_map


def palette_of(vocabulary: Vocabulary) -> bytes:
    """Palette of an 8-bit label map: the colours of its classes, the same in every file; grey for other values."""
    colours = ClassColours(vocabulary.labels)
    named = b"".join(bytes(colours.of(index)) for index in range(min(len(vocabulary), PALETTE_SIZE)))
    return named + bytes(_GREY) * (PALETTE_SIZE - len(named) // 3)


def _is_wide(result: ExportResult) -> bool:
    """Whether indices need 16 bits: more than 256 values, that of unknown pixels included."""
    return len(result.vocabulary) + bool((result.labels == IGNORE).any()) > PALETTE_SIZE
