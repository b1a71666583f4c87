"""CVAT for images 1.1 format: an XML file for the images of a run and one per video, with a mask for every class.

Source: https://docs.cvat.ai/docs/other/xml_format, with `mask` elements as CVAT writes them since version 2.3: the
bounding box of the mask and, inside it, the lengths of alternating runs of 0 and 1 in row-major order.

In CVAT a video is a task of its own, and its frames are found by their number: `film.mp4.cvat.xml` has them with their
number as `id` and the names `frame_000000` that CVAT gives them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from ahs_seg.io.atomic import replacing_file
from ahs_seg.io.outside_text import xml_text
from ahs_seg.io.rle import runs_of
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.formats.base import ExportItem, foreground_classes
from ahs_seg.output.formats.parts import FilePart, Parts
from ahs_seg.output.palette import bounding_window
from ahs_seg.vocabulary.vocabulary import Vocabulary

FILE: Final = "cvat.xml"


def cvat_part(item: ExportItem) -> FilePart:
    """Entry of one image and its masks."""
    height, width = item.result.labels.shape
    masks = [_mask(item, label) for label in foreground_classes(item.result)]
    part: FilePart = {"name": item.file_name, "width": width, "height": height, "masks": masks}
    return part if item.frame is None else {**part, "frame": item.frame.index}


def join_cvat(output: Path, vocabulary: Vocabulary, parts: Parts) -> tuple[Path, ...]:
    """Paths of the written `cvat.xml` and of the file of each video, merged from the parts one at a time."""
    counts = Counter(map(_video, parts))
    written = []
    for video, group in groupby(parts, key=_video):
        if video is not None:  # the frames of a video follow one another
            named = ({**part, "name": f"frame_{part['frame']:06d}"} for part in group)
            frames = ((part["frame"], part) for part in named)
            written.append(_write(output / f"{video}.{FILE}", vocabulary, counts[video], frames))
    if counts[None] or not written:
        images = enumerate(part for part in parts if _video(part) is None)
        written.insert(0, _write(output / FILE, vocabulary, counts[None], images))
    return tuple(written)


def _video(part: FilePart) -> str | None:
    return part["name"] if "frame" in part else None


def _write(path: Path, vocabulary: Vocabulary, count: int, images: Iterable[tuple[int, FilePart]]) -> Path:
    with replacing_file(path) as file:
        file.write(_head(vocabulary, count).encode())
        for number, part in images:
            file.write(_image(number, part).encode())
        file.write(b"</annotations>\n")
    return path


def _head(vocabulary: Vocabulary, count: int) -> str:
    colours = ClassColours(vocabulary.labels)
    labels = "".join(
        f"        <label>\n          <name>{escape(label)}</name>\n"
        f"          <color>#{bytes(colours.of(index)).hex()}</color>\n          <type>mask</type>\n"
        "          <attributes>\n          </attributes>\n        </label>\n"
        for index, label in enumerate(vocabulary.labels)
        if index != vocabulary.background
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n    <task>\n'
        f"      <name>AHS-Seg</name>\n      <size>{count}</size>\n      <mode>annotation</mode>\n"
        f"      <overlap>0</overlap>\n      <labels>\n{labels}      </labels>\n    </task>\n  </meta>\n"
    )


def _image(number: int, part: FilePart) -> str:
    masks = "".join(
        "    <mask {}>\n    </mask>\n".format(" ".join(f"{key}={quoteattr(str(mask[key]))}" for key in mask))
        for mask in part["masks"]
    )
    size = f'width="{part["width"]}" height="{part["height"]}"'
    return f'  <image id="{number}" name={quoteattr(xml_text(part["name"]))} {size}>\n{masks}  </image>\n'


def _mask(item: ExportItem, label: int) -> dict[str, Any]:
    mask = item.result.labels == label
    rows, columns = bounding_window(mask)
    box = mask[rows, columns]
    return {
        "label": item.result.vocabulary.labels[label],
        "source": "auto",
        "occluded": 0,
        "rle": ", ".join(map(str, runs_of(box.ravel()).tolist())),
        "left": columns.start,
        "top": rows.start,
        "width": box.shape[1],
        "height": box.shape[0],
        "z_order": 0,
    }
