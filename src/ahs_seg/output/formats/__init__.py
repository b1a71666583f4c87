"""Output formats: label maps, overlays, arrays, GeoTIFF, and annotation files (COCO, YOLO, CVAT, Label Studio), films.

`open_format("coco", folder, vocabulary)` returns the `Exporter` of a run; `save_result` writes a single result. Each
format has a file of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from ahs_seg.io.atomic import write_text
from ahs_seg.output.formats.base import (
    Exporter,
    ExportItem,
    ExportResult,
    FormatError,
    SingleFiles,
    VideoFrame,
    check_16_bits,
)
from ahs_seg.output.formats.coco import coco_document, coco_part, join_coco
from ahs_seg.output.formats.cvat import cvat_part, join_cvat
from ahs_seg.output.formats.geotiff import write_geotiff
from ahs_seg.output.formats.labelstudio import join_labelstudio, labelstudio_part
from ahs_seg.output.formats.npz import write_npz
from ahs_seg.output.formats.overlay import write_overlay
from ahs_seg.output.formats.parts import MergedFileFormat
from ahs_seg.output.formats.png import write_label_map
from ahs_seg.output.formats.video import film_part, join_films
from ahs_seg.output.formats.yolo import YoloFormat, rows_of
from ahs_seg.output.legend import OverlayStyle
from ahs_seg.vocabulary.vocabulary import ClassSource, Vocabulary

Format: TypeAlias = Literal["png", "overlay", "coco", "yolo", "npz", "geotiff", "labelstudio", "cvat", "video"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_LABEL_MAPS: Final = ("png", "geotiff", "video")
"""Formats that keep class indices in 16 bits."""

__all__ = [
    "FORMATS",
    "ExportItem",
    "ExportResult",
    "Exporter",
    "Format",
    "FormatError",
    "VideoFrame",
    "coco_document",
    "open_format",
    "save_result",
]


def open_format(
    name: Format, output: Path | str, vocabulary: ClassSource, style: OverlayStyle | None = None
) -> Exporter:
    """Exporter that writes the results of a run to the folder `output` in the named format; `style` is for overlays.

    Raises:
        FormatError: there is no such format, or it cannot store so many classes.
    """
    output, vocabulary = Path(output), Vocabulary.parse(vocabulary)
    if name in _LABEL_MAPS:
        check_16_bits(vocabulary)
    match name:
        case "png":
            return SingleFiles(output, vocabulary, ".png", write_label_map)
        case "overlay":
            suffix = f".overlay.{(style or OverlayStyle()).file_format}"
            return SingleFiles(output, vocabulary, suffix, partial(write_overlay, style=style))
        case "npz":
            return SingleFiles(output, vocabulary, ".npz", write_npz)
        case "coco":
            return MergedFileFormat(output, vocabulary, "coco", coco_part, join_coco)
        case "yolo":
            return YoloFormat(output, vocabulary)
        case "geotiff":
            return SingleFiles(output, vocabulary, ".tif", write_geotiff)
        case "labelstudio":
            part = partial(labelstudio_part, output=output)
            return MergedFileFormat(output, vocabulary, "labelstudio", part, join_labelstudio)
        case "cvat":
            return MergedFileFormat(output, vocabulary, "cvat", cvat_part, join_cvat)
        case "video":
            return MergedFileFormat(output, vocabulary, "video", film_part, partial(join_films, style=style))
        case _:
            raise FormatError(f"no format is called {name!r}; choose one of {', '.join(FORMATS)}.")


def _write_coco(item: ExportItem, path: Path) -> None:
    write_text(path, json.dumps(coco_document(item), ensure_ascii=False) + "\n")


def _write_yolo(item: ExportItem, path: Path) -> None:
    write_text(path, rows_of(item.result))


_SINGLE: Final[dict[str, tuple[tuple[str, ...], Callable[[ExportItem, Path], None]]]] = {
    "png": ((".png",), write_label_map),
    "overlay": ((".jpg", ".jpeg", ".webp", ".png"), write_overlay),
    "npz": ((".npz",), write_npz),
    "coco": ((".json",), _write_coco),
    "yolo": ((".txt",), _write_yolo),
    "geotiff": ((".tif", ".tiff"), write_geotiff),
}
"""Formats that can store a single result in one file: suffixes (the first format with a suffix wins) and writer."""


def save_result(
    result: ExportResult,
    path: Path,
    name: str | None = None,
    style: OverlayStyle | None = None,
    source: Path | None = None,
) -> Path:
    """Path of the written file; its format is given by `name`, or by the suffix of the path; `style` is for overlays.

    `source` is the file of the image, of which a GeoTIFF has the georeference and which annotations name.

    Raises:
        FormatError: no format has this suffix, or the named format does not use it.
    """
    suffix = path.suffix.lower()
    for known, (suffixes, write) in _SINGLE.items():
        if suffix in suffixes and name in (None, known):
            item = ExportItem(Path(path.stem), result, source)
            write_overlay(item, path, style) if known == "overlay" else write(item, path)
            return path
    listed = ", ".join(f"{known} ({' '.join(suffixes)})" for known, (suffixes, _) in _SINGLE.items())
    given = "no format" if name is None else f"no format {name!r}"
    raise FormatError(f"{path}: {given} with the ending {suffix!r} for a single image; there are {listed}.")
