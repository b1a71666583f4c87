"""One label map: made, or kept where it is already there; always whole, checked, and written down for the index."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import UInt
from PIL import Image

from ahs_seg.data.catalog import DatasetSpec
from ahs_seg.data.prepare.index import IndexEntry, checksum
from ahs_seg.errors import SampleError
from ahs_seg.io.atomic import write_bytes
from ahs_seg.io.images import IMAGE_FORMATS, read_labels

_EXIF_ORIENTATION: Final = 0x0112

Make: TypeAlias = Callable[[], UInt[np.ndarray, "H W"] | None]
"""Label values as the data set stores them, or `None` where the original leaves the picture out."""


class PrepareJob(NamedTuple):
    """A picture by its name and how its label map is made; `make` can be sent to another process."""

    name: str
    make: Make


@dataclass(frozen=True, slots=True)
class PrepareTask:
    """A job with its place. Without `make` the label map must be there; `known` is what the index says of it."""

    spec: DatasetSpec
    root: Path
    name: str
    make: Make | None
    known: IndexEntry | None


class PrepareOutcome(NamedTuple):
    """What became of a task: an entry of the index, or the reason why there is none."""

    name: str
    state: Literal["made", "kept", "left out", "faulty"]
    entry: IndexEntry | None = None
    reason: str = ""


def run_task(task: PrepareTask) -> PrepareOutcome:
    """Keep the label map that is there if it is as the index says, or else whole and plausible; make it otherwise."""
    label = task.spec.label_path(task.root, task.name)
    try:
        if label.exists() and (entry := _kept(task, label)):
            return PrepareOutcome(task.name, "kept", entry)
        if task.make is None:
            return PrepareOutcome(task.name, "kept", inspect(task.spec, task.root, task.name))
        values = task.make()
        if values is None:
            return PrepareOutcome(task.name, "left out", reason="no pixel of it is labelled, as in the original")
        return PrepareOutcome(task.name, "made", _write(task, label, values))
    except SampleError as error:
        return PrepareOutcome(task.name, "faulty", reason=str(error))


def inspect(spec: DatasetSpec, root: Path, name: str) -> IndexEntry:
    """The entry of a picture and its label map; the label map is read in full, of the picture only the header.

    Raises:
        SampleError: either is missing or damaged, labels outside of the classes, sizes that differ.
    """
    label, image = spec.label_path(root, name), spec.image_path(root, name)
    values = read_labels(label)
    spec.decode(values, str(label))
    height, width = picture_size(image)
    if values.shape != (height, width):
        raise SampleError(
            f"{label}: label map is {values.shape[1]}x{values.shape[0]}, its picture {width}x{height}; "
            "sizes must agree."
        )
    content = label.read_bytes()
    return IndexEntry(height, width, image.stat().st_size, len(content), checksum(content))


def picture_size(path: Path) -> tuple[int, int]:
    """(height, width) of an upright picture, from its header.

    Raises:
        SampleError: missing, or not a picture.
    """
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            turned = image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
            width, height = image.size
    except FileNotFoundError:
        raise SampleError(
            f"{path}: no such picture, but there is a label map for it. Unpack the archive again."
        ) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise SampleError(f"{path}: not a readable picture ({error}). Unpack the archive again.") from None
    return (width, height) if turned else (height, width)


def encode_labels(values: UInt[np.ndarray, "H W"], suffix: str) -> bytes:
    """A label map as a file: 8 bits in a PNG, 16 in a TIFF (packed without loss, unlike the originals')."""
    buffer = io.BytesIO()
    if suffix == ".tif":
        Image.fromarray(values.astype(np.uint16)).save(buffer, "TIFF", compression="tiff_adobe_deflate")
    else:
        Image.fromarray(values.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _write(task: PrepareTask, label: Path, values: UInt[np.ndarray, "H W"]) -> IndexEntry:
    image = task.spec.image_path(task.root, task.name)
    height, width = picture_size(image)
    if values.shape != (height, width):
        raise SampleError(
            f"{image}: picture is {width}x{height}, its annotation {values.shape[1]}x{values.shape[0]}; sizes must "
            "agree. Unpack both archives again."
        )
    task.spec.decode(values, str(label))
    content = encode_labels(values, label.suffix)
    write_bytes(label, content)
    return IndexEntry(height, width, image.stat().st_size, len(content), checksum(content))


def _kept(task: PrepareTask, label: Path) -> IndexEntry | None:
    if task.known is not None:
        content, image = label.read_bytes(), task.spec.image_path(task.root, task.name)
        same = checksum(content) == task.known.checksum and image.is_file()
        return task.known if same and image.stat().st_size == task.known.image_bytes else None
    try:
        return inspect(task.spec, task.root, task.name)
    except SampleError:
        if task.make is None:
            raise
        return None
