"""YOLO segmentation: a text file of polygons for every picture, the pictures, and `data.yaml`, ready to train on.

Source: https://docs.ultralytics.com/datasets/segment: a row is the number of a class and the corners of one polygon, x
and y as shares of width and height. `labels/NAME.txt` belongs to `images/NAME.jpg`.

A row is one connected part of a class. The format knows no holes: they are joined to the outline by cuts of no width
(`keyhole`), so that filling a row gives exactly the pixels of the part.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from PIL import Image

from ahs_seg.io.atomic import write_bytes, write_text
from ahs_seg.output.formats.base import ExportItem, ExportResult, objects
from ahs_seg.output.formats.polygons import keyhole, polygons_of
from ahs_seg.vocabulary.vocabulary import Vocabulary

FILE: Final = "data.yaml"
COPIED: Final = frozenset([".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"])
"""Pictures that YOLO reads; others are written as PNG."""


@dataclass(frozen=True)
class YoloFormat:
    """`labels/NAME.txt`, `images/NAME` with the suffix of its source, and `data.yaml` for the run."""

    output: Path
    vocabulary: Vocabulary

    def start(self, *, resume: bool = False) -> None:
        """Nothing is shared between pictures: files of an earlier run stay until they are written again."""

    def add(self, item: ExportItem) -> None:
        """Write the picture, then its polygons."""
        name = _told_apart(item.name)
        suffix = item.source.suffix if item.source is not None else ""
        if item.source is not None and suffix.lower() in COPIED:
            content = item.source.read_bytes()
        else:
            buffer, suffix = io.BytesIO(), ".png"
            Image.fromarray(item.result.image).save(buffer, "PNG")
            content = buffer.getvalue()
        write_bytes(self.output / "images" / name.with_name(name.name + suffix), content)
        write_text(self._labels(item.name), rows_of(item.result))

    def has(self, name: Path) -> bool:
        """The polygons are written last."""
        return self._labels(name).exists()

    def finish(self) -> tuple[Path, ...]:
        """Write `data.yaml`; its folders are relative to it."""
        names = dict(enumerate(_names(self.vocabulary)))
        text = yaml.safe_dump({"train": "images", "val": "images", "names": names}, sort_keys=False, allow_unicode=True)
        write_text(self.output / FILE, text)
        return (self.output / FILE,)

    def _labels(self, name: Path) -> Path:
        told = _told_apart(name)
        return self.output / "labels" / told.with_name(told.name + ".txt")


def rows_of(result: ExportResult) -> str:
    """The rows of one picture, largest class first."""
    height, width = result.labels.shape
    number = {label: index for index, label in enumerate(_names(result.vocabulary))}
    lines = []
    for label in objects(result):
        for polygon in polygons_of(result.labels == label):
            corners = (keyhole(polygon) / (width, height)).ravel().tolist()
            lines.append(" ".join([str(number[result.vocabulary.labels[label]]), *(f"{part:.6g}" for part in corners)]))
    return "".join(f"{line}\n" for line in lines)


def _names(vocabulary: Vocabulary) -> list[str]:
    return [label for index, label in enumerate(vocabulary.labels) if index != vocabulary.background]


def _told_apart(name: Path) -> Path:
    """YOLO finds the labels of a picture by the last folder called `images` in its path: others get another name."""
    return Path(*("images_" if part == "images" else part for part in name.parts[:-1]), name.name)
