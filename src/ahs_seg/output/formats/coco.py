"""COCO format: one JSON file per run, with an RLE mask for every class of every image.

Source: https://cocodataset.org/#format-data, as COCO-Stuff uses it: an annotation covers all pixels of a class,
including disconnected parts. Category k + 1 is class k of the vocabulary; `score` is the mean score of its pixels.

Frames of videos are images with the file name of the video, `video_id` and `frame_id` (from 0), and there is a list
`videos`, as in the video datasets of the COCO family (https://github.com/open-mmlab/mmtracking, CocoVID).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

from ahs_seg.io.atomic import replacing_file
from ahs_seg.io.rle import encode_rle
from ahs_seg.output.formats.base import ExportItem, foreground_classes
from ahs_seg.output.formats.parts import FilePart, Parts
from ahs_seg.output.palette import bounding_window
from ahs_seg.vocabulary.vocabulary import Vocabulary

FILE: Final = "coco.json"
_INFO: Final = {"description": "Predicted by AHS-Seg", "version": "1.0"}


def coco_part(item: ExportItem) -> FilePart:
    """COCO entries of one image and its annotations, without ids."""
    height, width = item.result.labels.shape
    image: dict[str, Any] = {"file_name": item.file_name, "width": width, "height": height}
    if item.frame is not None:
        image["frame_id"] = item.frame.index
    return {"image": image, "annotations": [_annotation(item, label) for label in foreground_classes(item.result)]}


def coco_document(item: ExportItem) -> dict[str, Any]:
    """Complete COCO document for one image."""
    part = coco_part(item)
    return {
        "info": _INFO,
        "images": list(_images([part], {})),
        "annotations": list(_annotations([part])),
        "categories": _categories(item.result.vocabulary),
    }


def join_coco(output: Path, vocabulary: Vocabulary, parts: Parts) -> tuple[Path, ...]:
    """Path of the written `coco.json`, merged from the parts one at a time."""
    path = output / FILE
    videos = _videos(parts)
    with replacing_file(path) as file:
        file.write(b'{"info": ' + _json(_INFO))
        if videos:
            file.write(b',\n"videos": ' + _json([{"id": number, "name": name} for name, number in videos.items()]))
        for key, entries in (("images", _images(parts, videos)), ("annotations", _annotations(parts))):
            file.write(b',\n"' + key.encode() + b'": [')
            _write_list(file, entries)
            file.write(b"]")
        file.write(b',\n"categories": ' + _json(_categories(vocabulary)) + b"}\n")
    return (path,)


def _annotation(item: ExportItem, label: int) -> dict[str, Any]:
    mask = item.result.labels == label
    rows, columns = bounding_window(mask)
    return {
        "category_id": label + 1,
        "segmentation": encode_rle(mask),
        "area": int(mask.sum()),
        "bbox": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
        "iscrowd": 0,
        "score": round(float(item.result.scores[mask].mean()), 4),
    }


def _videos(parts: Iterable[FilePart]) -> dict[str, int]:
    """Ids of the videos by name, from 1."""
    names = dict.fromkeys(part["image"]["file_name"] for part in parts if "frame_id" in part["image"])
    return {name: number for number, name in enumerate(names, start=1)}


def _images(parts: Iterable[FilePart], videos: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for number, part in enumerate(parts, start=1):
        image = part["image"]
        yield {"id": number, **image, **({"video_id": videos[image["file_name"]]} if "frame_id" in image else {})}


def _annotations(parts: Iterable[FilePart]) -> Iterator[dict[str, Any]]:
    number = 0
    for image, part in enumerate(parts, start=1):
        for annotation in part["annotations"]:
            number += 1
            yield {"id": number, "image_id": image, **annotation}


def _categories(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    return [
        {"id": index + 1, "name": label, "supercategory": ""}
        for index, label in enumerate(vocabulary.labels)
        if index != vocabulary.background
    ]


def _write_list(file: IO[bytes], entries: Iterable[dict[str, Any]]) -> None:
    for number, entry in enumerate(entries):
        file.write((b"," if number else b"") + b"\n" + _json(entry))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
