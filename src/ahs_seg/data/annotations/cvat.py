"""Annotations of CVAT in its format "CVAT for images 1.1": masks and polygons in an XML file.

Source: https://docs.cvat.ai/docs/other/xml_format. Shapes are painted by `z_order`, within the same one in the order of
the file, so that later ones lie on top, as in CVAT. Boxes, lines, points and tags label no area and are left out.

The parser is expat with its events only: it reads no other file, and a file with a document type, where entities are
defined, is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final
from xml.parsers import expat

import numpy as np
from jaxtyping import Bool

from ahs_seg.data.annotations.base import AnnotatedImage, AnnotationError, LabelSource, MaskReader, Shape, labels_of
from ahs_seg.data.annotations.polygon import filled, polygon_points
from ahs_seg.documents import MAX_LARGE_DOCUMENT_BYTES
from ahs_seg.errors import SampleError
from ahs_seg.io.rle import decode_runs, shortened
from ahs_seg.vocabulary.notices import notice

_NAME: Final = ("labels", "label", "name")
_SHAPES: Final = frozenset(["box", "polyline", "points", "cuboid", "ellipse", "skeleton", "tag"])
"""Elements of an image that label no area."""

_Attributes = Mapping[str, str]


def read_cvat(path: Path) -> LabelSource:
    """The images of a CVAT file with their labels.

    Raises:
        AnnotationError: the file is no XML of CVAT for images, or larger than `MAX_LARGE_DOCUMENT_BYTES`.
    """
    events = _Events(path)
    try:
        if path.stat().st_size > MAX_LARGE_DOCUMENT_BYTES:
            raise AnnotationError(f"{path}: has more than {MAX_LARGE_DOCUMENT_BYTES:,} bytes; export fewer images.")
        with path.open("rb") as file:
            events.parser.ParseFile(file)
    except AnnotationError:
        raise
    except (OSError, expat.ExpatError, LookupError, ValueError) as error:  # the last two: an encoding expat cannot read
        raise AnnotationError(f"{path}: not readable as XML ({error}). Export it again, as UTF-8.") from None
    if events.root != "annotations" or (not events.images and not events.names):
        raise AnnotationError(f"{path}: no annotations of CVAT; export as 'CVAT for images 1.1'.")
    used = [attributes.get("label", "") for _, shapes in events.images for _, attributes in shapes]
    names = list(dict.fromkeys(events.names)) or sorted(set(used))
    if events.areas_left_out:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(events.areas_left_out.items()))
        notice(f"{path}: shapes that label no area are left out: {kinds}")
    place = {name: index for index, name in enumerate(names)}
    return LabelSource(tuple(names), tuple(_image(entry, shapes, place) for entry, shapes in events.images), (path,))


class _Events:
    """What the events of the parser gather: names of classes, and images with their shapes."""

    def __init__(self, path: Path) -> None:
        self.root = ""
        self.names: list[str] = []
        self.images: list[tuple[_Attributes, list[tuple[str, _Attributes]]]] = []
        self.areas_left_out: Counter[str] = Counter()
        self._path, self._source, self._text = [""], path, ""
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _refuse(self, *_: object) -> None:
        raise AnnotationError(f"{self._source}: has a document type; annotations of CVAT have none. Remove it.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        parent = self._path[-1]
        self.root = self.root or name
        self._path.append(name)
        self._text = ""
        if name == "track":
            raise AnnotationError(f"{self._source}: holds tracks of a video; export as 'CVAT for images 1.1'.")
        if name == "image":
            self.images.append((attributes, []))
        elif parent == "image" and name in ("mask", "polygon"):
            self.images[-1][1].append((name, attributes))
        elif parent == "image" and name in _SHAPES:
            self.areas_left_out[name] += 1

    def _end(self, _: str) -> None:
        if tuple(self._path[-3:]) == _NAME and self._text.strip():
            self.names.append(self._text.strip())
        self._path.pop()
        self._text = ""

    def _characters(self, text: str) -> None:
        self._text += text if self._path[-1] == "name" else ""


def _image(entry: _Attributes, shapes: list[tuple[str, _Attributes]], place: Mapping[str, int]) -> AnnotatedImage:
    name = entry.get("name", "")
    try:
        size = _whole(entry, "height"), _whole(entry, "width")
        ordered = sorted(shapes, key=lambda one: _whole(one[1], "z_order", "0"))
        found = [Shape(_label(attributes, place), _reader(kind, attributes)) for kind, attributes in ordered]
    except SampleError as error:
        return AnnotatedImage(name, fault=str(error))
    return AnnotatedImage(name, labels_of(found), size)


def _label(attributes: _Attributes, place: Mapping[str, int]) -> int:
    label = attributes.get("label", "")
    if label not in place:
        raise SampleError(f"has a shape of class {shortened(label)}, which the file does not define")
    return place[label]


def _reader(kind: str, attributes: _Attributes) -> MaskReader:
    if kind == "mask":
        return partial(_mask, attributes)
    return partial(_polygon, attributes.get("points", ""))


def _polygon(text: str, size: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    try:
        points = [[float(part) for part in pair.split(",")] for pair in text.split(";")]
    except ValueError:
        raise SampleError(f"polygon {shortened(text)}; allowed are points x,y;x,y;x,y.") from None
    return filled(polygon_points(points), size)


def _mask(attributes: _Attributes, size: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    """Mask of an image whose box holds runs of 0 and 1 in row-major order."""
    left, top, width, height = (_whole(attributes, key) for key in ("left", "top", "width", "height"))
    if left < 0 or top < 0 or width < 1 or height < 1 or top + height > size[0] or left + width > size[1]:
        raise SampleError(f"mask of {width}x{height} at {left}, {top} in an image of {size[1]}x{size[0]}.")
    text = attributes.get("rle", "")
    try:
        runs = [int(part) for part in text.split(",")]
    except ValueError:
        raise SampleError(f"mask with the runs {shortened(text)}; allowed are whole numbers between commas.") from None
    mask = np.zeros(size, np.bool_)
    mask[top : top + height, left : left + width] = decode_runs(runs, (height, width))
    return mask


def _whole(attributes: _Attributes, key: str, default: str = "") -> int:
    text = attributes.get(key, default)
    try:
        return int(text)
    except ValueError:
        raise SampleError(f"has {key}={shortened(text)}; allowed is a whole number") from None
