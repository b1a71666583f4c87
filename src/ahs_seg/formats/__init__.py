"""Output formats: label maps, pictures to look at, and the files of annotation tools and of other programs.

`open_format("coco", folder, vocabulary)` gives the `Exporter` of a run, `save_result` writes one result by itself. One
file per format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from ahs_seg.files import write_text
from ahs_seg.formats.base import Exporter, FormatError, Item, Result, SingleFiles
from ahs_seg.formats.coco import coco_document, coco_part, join_coco
from ahs_seg.formats.npz import write_npz
from ahs_seg.formats.overlay import write_overlay
from ahs_seg.formats.parts import Joined
from ahs_seg.formats.png import write_label_map
from ahs_seg.vocabulary import Vocabulary

Format: TypeAlias = Literal["png", "overlay", "coco", "npz"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

__all__ = [
    "FORMATS",
    "Exporter",
    "Format",
    "FormatError",
    "Item",
    "Result",
    "coco_document",
    "open_format",
    "save_result",
]


def open_format(name: Format, output: Path, vocabulary: Vocabulary) -> Exporter:
    """The exporter of a run that writes this format into a folder."""
    match name:
        case "png":
            return SingleFiles(output, vocabulary, ".png", write_label_map)
        case "overlay":
            return SingleFiles(output, vocabulary, ".overlay.png", write_overlay)
        case "npz":
            return SingleFiles(output, vocabulary, ".npz", write_npz)
        case "coco":
            return Joined(output, vocabulary, "coco", coco_part, join_coco)


_SUFFIXES: Final[dict[str, tuple[str, ...]]] = {
    "png": (".png",),
    "overlay": (".jpg", ".jpeg", ".webp", ".png"),
    "npz": (".npz",),
    "coco": (".json",),
}
"""Formats by the suffix of a single result's file; of those with the same suffix the first is meant."""


def save_result(result: Result, path: Path, name: str | None = None) -> Path:
    """Write one result in a named format, or in the one that the suffix of the path stands for.

    Raises:
        FormatError: a suffix that no format, or not the named one, has.
    """
    suffix = path.suffix.lower()
    found = name or next((known for known, suffixes in _SUFFIXES.items() if suffix in suffixes), None)
    if found is None or suffix not in _SUFFIXES.get(found, ()):
        known = ", ".join(f"{known} ({' '.join(suffixes)})" for known, suffixes in _SUFFIXES.items())
        raise FormatError(
            f"{path}: {'format ' + repr(name) if name else 'no format'} with the ending {suffix!r}; known are {known}."
        )
    item = Item(path.with_suffix(""), result)
    match found:
        case "png":
            write_label_map(item, path)
        case "overlay":
            write_overlay(item, path)
        case "npz":
            write_npz(item, path)
        case "coco":
            write_text(path, json.dumps(coco_document(item), ensure_ascii=False) + "\n")
    return path
