"""Label Studio format: tasks with brush masks as predictions, and the labelling interface for them.

Sources: https://labelstud.io/guide/predictions, https://labelstud.io/tags/brushlabels, and for the mask encoding
rle-pack (https://github.com/thi-ng/umbrella), which Label Studio calls: the number of values in 32 bits, the word size
in 5 bits, four run-length sizes in 4 bits each (minus one), then the runs: a 1 bit, two bits that select a size, the
length minus one, and the value. A mask is encoded as four channels per pixel, each 0 or 255.

Label Studio has no masks on videos: the frames are written as images, to which the tasks refer.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
from jaxtyping import Bool

from ahs_seg.config import VERSION
from ahs_seg.io.atomic import replacing_file, write_png, write_text
from ahs_seg.io.rle import runs_of
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.formats.base import ExportItem, foreground_classes
from ahs_seg.output.formats.parts import FilePart, Parts
from ahs_seg.vocabulary.vocabulary import Vocabulary

FILE: Final = "labelstudio.json"
INTERFACE: Final = "labelstudio.xml"
LOCAL: Final = "/data/local-files/?d="
"""URL prefix under which Label Studio serves the files below `LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT`."""

FRAMES: Final = "frames"
"""Subfolder of the output folder with the frames of videos."""

_CHANNELS: Final = 4
_SIZES: Final = (3, 4, 8, 16)


def labelstudio_part(item: ExportItem, output: Path) -> FilePart:
    """Label Studio task of one image, with one brush mask for every class present; writes the frame of a video."""
    name = item.file_name
    if item.frame is not None:
        name = f"{FRAMES}/{name}/{item.frame.index:06d}.png"
        write_png(output / name, item.result.image)
    return {
        "data": {"image": LOCAL + quote(name)},
        "predictions": [
            {
                "model_version": f"AHS-Seg {VERSION}",
                "score": round(float(item.result.scores.mean()), 4),
                "result": [_region(item, label, name) for label in foreground_classes(item.result)],
            }
        ],
    }


def join_labelstudio(output: Path, vocabulary: Vocabulary, parts: Parts) -> tuple[Path, ...]:
    """Paths of the written task list, merged from the parts one at a time, and labelling interface."""
    path = output / FILE
    with replacing_file(path) as file:
        file.write(b"[")
        for number, part in enumerate(parts):
            file.write((b"," if number else b"") + b"\n" + json.dumps(part, ensure_ascii=False).encode())
        file.write(b"\n]\n")
    write_text(output / INTERFACE, interface(vocabulary))
    return path, output / INTERFACE


def interface(vocabulary: Vocabulary) -> str:
    """XML of the labelling interface with one brush per class, for Settings, Labeling Interface, Code."""
    colours = ClassColours(vocabulary.labels)
    labels = [
        f'    <Label value={quoteattr(label)} background="#{bytes(colours.of(index)).hex()}"/>'
        for index, label in enumerate(vocabulary.labels)
        if index != vocabulary.background
    ]
    inner = "\n".join(labels)
    return (
        '<View>\n  <Image name="image" value="$image" zoom="true"/>\n  <BrushLabels name="tag" toName="image">\n'
        f"{inner}\n  </BrushLabels>\n</View>\n"
    )


def brush_code(mask: Bool[np.ndarray, "H W"]) -> list[int]:
    """Mask as run-length encoded bytes in the format of Label Studio's brush tool."""
    bits = [f"{mask.size * _CHANNELS:032b}{7:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    longest = 1 << _SIZES[-1]
    for index, run in enumerate(runs_of(mask.ravel()).tolist()):
        left = run * _CHANNELS
        while left:
            length = min(left, longest)
            choice = next(place for place, size in enumerate(_SIZES) if length <= 1 << size)
            bits.append(f"1{choice:02b}{length - 1:0{_SIZES[choice]}b}{255 * (index % 2):08b}")
            left -= length
    text = np.frombuffer("".join(bits).encode(), np.uint8) - ord("0")
    return [int(byte) for byte in np.packbits(text)]


def _region(item: ExportItem, label: int, image: str) -> dict[str, Any]:
    mask = item.result.labels == label
    name = item.result.vocabulary.labels[label]
    height, width = mask.shape
    return {
        "id": hashlib.sha256(f"{image}\n{name}".encode()).hexdigest()[:10],
        "type": "brushlabels",
        "from_name": "tag",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": round(float(item.result.scores[mask].mean()), 4),
        "value": {"format": "rle", "rle": brush_code(mask), "brushlabels": [name]},
    }
