"""YOLO segmentation format: one text file of polygons per image, the images, and `data.yaml`, ready for training.

Source: https://docs.ultralytics.com/datasets/segment: a row is a class index and the vertices of one polygon, x and y
normalised by width and height. `labels/NAME.txt` belongs to `images/NAME.jpg`.

A row is one connected component of a class. The format has no holes: they are connected to the outline by zero-width
cuts (`keyhole`), so that filling a row gives exactly the pixels of the component.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from PIL import Image

from ahs_seg.io.atomic import write_bytes, write_text
from ahs_seg.io.reach import exists
from ahs_seg.output.formats.base import ExportItem, ExportResult, FormatError, foreground_classes, output_file
from ahs_seg.output.formats.polygons import keyhole, mask_to_polygons
from ahs_seg.vocabulary.vocabulary import Vocabulary

FILE: Final = "data.yaml"
COPIED: Final = frozenset([".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"])
"""Suffixes of image files that YOLO reads; images of other types are written as PNG."""
IMAGE_FORMATS: Final = ("png", "overlay", "geotiff")
"""The formats whose files are images, which YOLO takes for its own in their folder."""


def check_beside(formats: Collection[str], names: Iterable[str]) -> None:
    """Check that no file of another format of the run lies among the images of the data set.

    Raises:
        FormatError: results of such a format have the names of a folder `images`.
    """
    others = [name for name in formats if name in IMAGE_FORMATS]
    inside = (name for name in names if others and name.casefold().startswith("images/"))
    if (name := next(inside, None)) is not None:
        raise FormatError(
            f"{name}: {' and '.join(others)} would write into the folder images of the results, which holds the images "
            "that yolo is trained on. Write yolo in a run of its own, or give the folder images itself as the input."
        )


@dataclass(frozen=True)
class YoloFormat:
    """Exporter that writes `labels/NAME.txt` and `images/NAME` (with its source suffix) per image, and `data.yaml`."""

    output: Path
    vocabulary: Vocabulary

    def start(self, *, resume: bool = False) -> None:
        """Do nothing: images share no state, and files of an earlier run stay until they are overwritten."""

    def add(self, item: ExportItem) -> None:
        """Write the image file, then its polygons."""
        name = _without_images_folder(item.name)
        suffix = item.source.suffix if item.source is not None else ""
        if item.source is not None and suffix.lower() in COPIED:
            content = item.source.read_bytes()
        else:
            buffer, suffix = io.BytesIO(), ".png"
            Image.fromarray(item.result.image).save(buffer, "PNG")
            content = buffer.getvalue()
        write_bytes(output_file(self.output / "images", name, suffix), content)
        write_text(self._labels(item.name), rows_of(item.result))

    def has(self, name: Path) -> bool:
        """Whether the polygon file of this image exists; it is written last."""
        return self._labels(name).exists()

    def forget(self, name: Path) -> None:
        """Remove the polygons of this image, then its file."""
        if exists(labels := self._labels(name)):  # not if the name is too long for a file
            labels.unlink()
        renamed = self.output / "images" / _without_images_folder(name)
        for path in renamed.parent.glob("*"):
            if path.stem == renamed.name and path.suffix.lower() in COPIED:
                path.unlink()

    def finish(self) -> tuple[Path, ...]:
        """Path of the written `data.yaml`; its folders are relative to it."""
        names = dict(enumerate(_names(self.vocabulary)))
        text = yaml.safe_dump({"train": "images", "val": "images", "names": names}, sort_keys=False, allow_unicode=True)
        write_text(self.output / FILE, text)
        return (self.output / FILE,)

    def _labels(self, name: Path) -> Path:
        renamed = _without_images_folder(name)
        return output_file(self.output / "labels", renamed, ".txt")


def rows_of(result: ExportResult) -> str:
    """Text of all polygon rows of one image, largest class first."""
    height, width = result.labels.shape
    number = {label: index for index, label in enumerate(_names(result.vocabulary))}
    lines = []
    for label in foreground_classes(result):
        for polygon in mask_to_polygons(result.labels == label):
            corners = (keyhole(polygon) / (width, height)).ravel().tolist()
            lines.append(" ".join([str(number[result.vocabulary.labels[label]]), *(f"{part:.6g}" for part in corners)]))
    return "".join(f"{line}\n" for line in lines)


def _names(vocabulary: Vocabulary) -> list[str]:
    return [label for index, label in enumerate(vocabulary.labels) if index != vocabulary.background]


def _without_images_folder(name: Path) -> Path:
    """Name with folders called `images` renamed: YOLO locates labels by the last folder of that name in the path.

    `images_` is renamed as well, so that no two names become one.
    """
    return Path(*(f"{part}_" if part.rstrip("_") == "images" else part for part in name.parts[:-1]), name.name)
