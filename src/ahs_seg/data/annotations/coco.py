"""COCO annotations: run-length codes and polygons, and the segment maps of COCO panoptic.

Sources: https://cocodataset.org/#format-data and #format-results. The annotations of an image are painted by area, the
largest first, so that the smaller one lies on top where they overlap: the file says no order. The polygons of one
annotation are united. Crowds (`iscrowd`) count as their class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from jaxtyping import Bool, Int32

from ahs_seg.data.annotations.base import (
    AnnotatedImage,
    AnnotationError,
    LabelReader,
    LabelSource,
    Shape,
    labels_of,
)
from ahs_seg.data.annotations.polygon import filled, polygon_points
from ahs_seg.data.prepare.safe_names import name_problem
from ahs_seg.documents import MAX_LARGE_DOCUMENT_BYTES, DocumentError, read_json
from ahs_seg.errors import SampleError
from ahs_seg.io.images import MAX_PIXELS, read_colours
from ahs_seg.io.rle import decode_rle, shortened
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.notices import notice

_KEYS: Final = ("images", "annotations", "categories")
_PANOPTIC_BASE: Final = (1, 256, 65536)
"""Weights of red, green and blue in the id of a segment."""

_Entry: TypeAlias = Mapping[str, Any]


def read_coco(path: Path, *, segments: Path | None = None) -> LabelSource:
    """The images of a COCO JSON file with their labels; `segments` is the folder of the PNG files of a panoptic one.

    Raises:
        AnnotationError: the file is no COCO file, or it is a panoptic one and `segments` is not given.
    """
    document = read_document(path)
    if not isinstance(document, dict) or not all(isinstance(document.get(key), list) for key in _KEYS):
        raise AnnotationError(f"{path}: no COCO file; allowed is a mapping with the lists {', '.join(_KEYS)}.")
    names, place = _categories(document["categories"], path)
    entries = _by_image(document, path)
    if any("segments_info" in one for _, found in entries for one in found):
        if segments is None:
            raise AnnotationError(
                f"{path}: panoptic annotations, whose masks are PNG files; give their folder: data.segments=FOLDER."
            )
        images = tuple(_image(*entry, partial(_segment_map, place, segments)) for entry in entries)
        return LabelSource(names, images, (path, *sorted(segments.rglob("*.png"))))
    if boxes := sum(not one.get("segmentation") for _, found in entries for one in found):
        notice(f"{path}: {boxes} annotations have no segmentation, only a box, and label nothing")
    return LabelSource(names, tuple(_image(*entry, partial(_shapes, place)) for entry in entries), (path,))


def read_document(path: Path) -> Any:
    """The content of a JSON file of annotations.

    Raises:
        AnnotationError: it is missing, larger than `MAX_LARGE_DOCUMENT_BYTES`, or no JSON.
    """
    try:
        return read_json(path, limit=MAX_LARGE_DOCUMENT_BYTES)
    except (OSError, DocumentError) as error:
        raise AnnotationError(f"{path}: cannot be read ({error}). Export the annotations again.") from None


def _categories(values: Sequence[Any], path: Path) -> tuple[tuple[str, ...], dict[object, int]]:
    """Names of the classes, and the index of each category id; categories of one name are one class."""
    names: dict[str, int] = {}
    place: dict[object, int] = {}
    for one in values:
        number, name = (one.get("id"), one.get("name")) if isinstance(one, dict) else (None, None)
        if not _is_id(number) or not isinstance(name, str) or not name.strip():
            raise AnnotationError(f"{path}: category {shortened(one)}; allowed are an id and a name.")
        if number in place:
            raise AnnotationError(f"{path}: two categories have the id {number}; give each one of its own.")
        place[number] = names.setdefault(name, len(names))
    return tuple(names), place


def _by_image(document: Mapping[str, Any], path: Path) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The entries of the images with their annotations, in the order of the file."""
    found: dict[object, list[dict[str, Any]]] = {}
    for one in document["annotations"]:
        if not isinstance(one, dict) or not _is_id(one.get("image_id")):
            raise AnnotationError(f"{path}: annotation {shortened(one)}; allowed is a mapping with an image_id.")
        found.setdefault(one["image_id"], []).append(one)
    counts: Counter[object] = Counter()
    for one in document["images"]:
        if not isinstance(one, dict) or not _is_id(one.get("id")):
            raise AnnotationError(f"{path}: image {shortened(one)}; allowed is a mapping with an id and a file_name.")
        counts[one["id"]] += 1
    for number, count in counts.items():
        if count > 1:
            raise AnnotationError(f"{path}: {count} images have the id {shortened(number)}; give each one of its own.")
    if lost := [number for number in found if number not in counts]:
        notice(f"{path}: annotations of {len(lost)} images that are not in its list, e.g. {lost[0]}, are left out")
    return [(one, found.get(one["id"], [])) for one in document["images"]]


def _image(
    entry: _Entry, annotations: Sequence[_Entry], read: Callable[[Sequence[_Entry]], LabelReader | None]
) -> AnnotatedImage:
    name = entry.get("file_name")
    name = name if isinstance(name, str) else ""
    height, width = entry.get("height"), entry.get("width")
    size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    try:
        return AnnotatedImage(name, read(annotations), size)
    except SampleError as error:
        return AnnotatedImage(name, fault=str(error))


def _shapes(place: Mapping[object, int], annotations: Sequence[_Entry]) -> LabelReader | None:
    ordered = sorted(annotations, key=lambda one: -_area(one))
    return labels_of(
        [Shape(_label(one, place), partial(_mask, one["segmentation"])) for one in ordered if one.get("segmentation")]
    )


def _mask(segmentation: object, size: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    if not isinstance(segmentation, list):
        return decode_rle(segmentation, size)
    parts = segmentation if all(isinstance(one, list) for one in segmentation) else [segmentation]
    mask = np.zeros(size, np.bool_)
    for part in parts:
        mask |= filled(polygon_points(part), size)
    return mask


def _segment_map(place: Mapping[object, int], folder: Path, annotations: Sequence[_Entry]) -> LabelReader | None:
    """Reader of the PNG file of a panoptic annotation."""
    if not annotations:
        return None
    name, found = annotations[0].get("file_name"), annotations[0].get("segments_info")
    if len(annotations) > 1 or not isinstance(name, str) or name_problem(name) or not isinstance(found, list):
        raise SampleError(f"panoptic annotation {shortened(annotations[0])}; allowed is one, a file_name in the folder")
    label: dict[int, int] = {}
    for segment in found:
        number = segment.get("id") if isinstance(segment, dict) else None
        if not isinstance(number, int):
            raise SampleError(f"segment {shortened(segment)}; allowed is a mapping with a whole number as id")
        label[number] = _label(segment, place)
    return partial(_segments, folder / name, label)


def _segments(path: Path, label: Mapping[int, int], size: tuple[int, int]) -> Int32[np.ndarray, "H W"]:
    """Labels of a PNG file in which the id of a segment is red + 256 green + 65536 blue."""
    colours = read_colours(path)
    if colours.shape[:2] != size:
        raise SampleError(f"{path} is {colours.shape[1]}x{colours.shape[0]}, the image {size[1]}x{size[0]}.")
    ids, inverse = np.unique(colours.astype(np.int64) @ np.array(_PANOPTIC_BASE), return_inverse=True)
    labels = np.array([label.get(number, IGNORE) for number in ids.tolist()], np.int32)
    return labels[inverse].reshape(size)


def _label(annotation: Mapping[str, Any], place: Mapping[object, int]) -> int:
    number = annotation.get("category_id")
    if not _is_id(number) or number not in place:
        raise SampleError(f"has an annotation of category {shortened(number)}, which the file does not define")
    return place[number]


def _area(annotation: Mapping[str, Any]) -> float:
    area = annotation.get("area")
    if not isinstance(area, int | float) or not 0 <= area <= MAX_PIXELS:  # damaged; the mask itself decides what it is
        return 0.0
    return float(area)


def _is_id(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)
