"""Output formats: label maps, pictures to look at, and the files of annotation tools and of other programs.

`open_format("coco", folder, vocabulary)` gives the `Exporter` of a run. One file per format.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias, get_args

from ahs_seg.formats.base import Exporter, FormatError, Item, Result, SingleFiles
from ahs_seg.formats.overlay import write_overlay
from ahs_seg.formats.png import write_label_map
from ahs_seg.vocabulary import Vocabulary

Format: TypeAlias = Literal["png", "overlay"]
FORMATS: tuple[Format, ...] = get_args(Format)

__all__ = ["FORMATS", "Exporter", "Format", "FormatError", "Item", "Result", "SingleFiles", "open_format"]


def open_format(name: Format, output: Path, vocabulary: Vocabulary) -> Exporter:
    """The exporter of a run that writes this format into a folder."""
    match name:
        case "png":
            return SingleFiles(output, vocabulary, ".png", write_label_map)
        case "overlay":
            return SingleFiles(output, vocabulary, ".overlay.png", write_overlay)
