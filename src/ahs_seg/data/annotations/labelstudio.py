"""Annotations of Label Studio in its JSON export: brush masks and polygons.

Sources: https://labelstud.io/guide/export, https://labelstud.io/guide/task_format. Of several annotations of a task the
newest that was not cancelled counts. Regions are painted in the order of the file, so that later ones lie on top, as in
Label Studio. Boxes, ellipses, key points and choices label no area and are left out.

Label Studio serves images under addresses of its own: `/data/local-files/?d=photos/a.jpg` is `photos/a.jpg`, and
`/data/upload/1/0f3a8b2c-a.jpg` is `a.jpg`, to which it gave a prefix. Nothing is downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from jaxtyping import Bool

from ahs_seg.data.annotations.base import AnnotatedImage, AnnotationError, LabelSource, MaskReader, Shape, labels_of
from ahs_seg.data.annotations.coco import read_document
from ahs_seg.data.annotations.polygon import filled, polygon_points
from ahs_seg.io.brush_rle import LOCAL_FILES, decode_brush
from ahs_seg.io.image_files import IMAGE_SUFFIXES
from ahs_seg.io.rle import shortened
from ahs_seg.vocabulary.notices import notice

_LABEL_KEYS: Final = ("brushlabels", "polygonlabels", "labels")
_UPLOAD: Final = re.compile(r"[0-9a-f]{8}-(.+)")
_UPLOADS: Final = "/data/upload/"

_Region = Mapping[str, Any]


def read_labelstudio(path: Path, *, predictions: bool = False) -> LabelSource:
    """The images of a Label Studio export with their labels; the classes are those in use, in alphabetical order.

    With `predictions`, tasks that nobody has annotated have the labels of their first prediction.

    Raises:
        AnnotationError: the file is no JSON export of Label Studio.
    """
    tasks = read_document(path)
    if not isinstance(tasks, list) or not all(isinstance(one, dict) and _is_task(one) for one in tasks):
        raise AnnotationError(f"{path}: no list of tasks with data and annotations; export as JSON, not as JSON-MIN.")
    answers = [(task, answer) for task in tasks if (answer := _answer(task, predictions=predictions)) is not None]
    if open_tasks := len(tasks) - len(answers):
        notice(f"{path}: {open_tasks} tasks without annotation are left out; data.predictions=true takes predictions")
    regions = [_regions(answer) for _, answer in answers]
    names = sorted({label for found in regions for _, label in found if label})
    place = {name: index for index, name in enumerate(names)}
    if left := sum(not label for found in regions for _, label in found):
        notice(f"{path}: {left} regions that label no area, or have no class, are left out")
    images = (_image(task, found, place) for (task, _), found in zip(answers, regions, strict=True))
    return LabelSource(tuple(names), tuple(images), (path,))


def _is_task(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("data"), dict) and any(
        isinstance(value.get(key), list) for key in ("annotations", "predictions")
    )


def _answer(task: Mapping[str, Any], *, predictions: bool) -> Mapping[str, Any] | None:
    """The annotation of a task that counts, or else its first prediction if these are asked for."""
    given = [one for one in _mappings(task.get("annotations")) if not one.get("was_cancelled")]
    if given:
        return given[-1]
    return next(_mappings(task.get("predictions")), None) if predictions else None


def _regions(answer: Mapping[str, Any]) -> list[tuple[_Region, str]]:
    """The regions of an answer, each with its class; "" for one that labels no area."""
    found = list(_mappings(answer.get("result")))
    named = {_id(region): _class_of(region) for region in found if _class_of(region)}
    areas = [(region, region["value"]) for region in found if isinstance(region.get("value"), dict)]
    return [
        (region, (_class_of(region) or named.get(_id(region), "")) if "rle" in value or "points" in value else "")
        for region, value in areas
        if "rle" in value or "points" in value or _id(region) not in named
    ]


def _id(region: _Region) -> str:
    return str(region.get("id"))


def _class_of(region: _Region) -> str:
    value = region.get("value")
    found = [value[key] for key in _LABEL_KEYS if isinstance(value, dict) and isinstance(value.get(key), list)]
    return next((label for labels in found for label in labels if isinstance(label, str) and label.strip()), "")


def _image(task: Mapping[str, Any], regions: Sequence[tuple[_Region, str]], place: Mapping[str, int]) -> AnnotatedImage:
    name = next(_image_names(task["data"]), "")
    shapes = [Shape(place[label], _reader(region["value"])) for region, label in regions if label]
    sizes = [(region.get("original_height"), region.get("original_width")) for region, label in regions if label]
    if not sizes:
        return AnnotatedImage(name)
    height, width = sizes[0]
    if any(one != sizes[0] for one in sizes) or not isinstance(height, int) or not isinstance(width, int):
        return AnnotatedImage(name, fault=f"its regions are of the sizes {shortened(sizes)}")
    if any(region.get("image_rotation") for region, _ in regions):
        return AnnotatedImage(name, fault="was turned in Label Studio; rotate the file itself, and label it upright")
    return AnnotatedImage(name, labels_of(shapes), (height, width))


def _reader(value: Mapping[str, Any]) -> MaskReader:
    if "rle" in value:
        return partial(decode_brush, value["rle"])
    return partial(_polygon, value["points"])


def _polygon(points: object, size: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    """Mask of a polygon whose vertices are percent of width and height."""
    height, width = size
    return filled(polygon_points(points) * (width / 100, height / 100), size)


def _image_names(data: Mapping[str, Any]) -> Iterator[str]:
    """Relative paths of the images that the data of a task names."""
    for value in data.values():
        name = _path_of(value) if isinstance(value, str) else ""
        if Path(name).suffix.lower() in IMAGE_SUFFIXES:
            yield name


def _path_of(address: str) -> str:
    """The relative path of an image from its address in Label Studio, in a bucket or on a server."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    if address.startswith(LOCAL_FILES):
        return next(iter(parse_qs(parts.query).get("d", [])), "").lstrip("/")
    path = unquote(parts.path) if parts.scheme or address.startswith("/data/") else address
    if path.startswith(_UPLOADS):
        name = path.rpartition("/")[2]
        found = _UPLOAD.fullmatch(name)
        return found[1] if found else name
    return path.lstrip("/")


def _mappings(values: object) -> Iterator[Mapping[str, Any]]:
    return (one for one in values if isinstance(one, dict)) if isinstance(values, list) else iter(())
