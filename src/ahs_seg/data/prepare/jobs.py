"""Preparation of one label map: converted, or kept if it exists; always complete, checked and entered in the index."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import UInt
from PIL import Image

from ahs_seg.data.catalog import DatasetSpec
from ahs_seg.data.prepare.index import IndexEntry, checksum
from ahs_seg.errors import SampleError
from ahs_seg.io.atomic import write_bytes
from ahs_seg.io.failures import failure_of
from ahs_seg.io.images import ImageError, read_labels, read_size

Make: TypeAlias = Callable[[], UInt[np.ndarray, "H W"] | None]
"""Function that returns raw label values as the dataset stores them, or `None` where the original skips the image."""


class PrepareJob(NamedTuple):
    """Name of an image and the function that makes its label map; `make` must be picklable."""

    name: str
    make: Make


@dataclass(frozen=True, slots=True)
class PrepareTask:
    """Job with its dataset and root; without `make` the label map must exist. `known` is its entry in the index."""

    spec: DatasetSpec
    root: Path
    name: str
    make: Make | None
    known: IndexEntry | None


class PrepareOutcome(NamedTuple):
    """Result of a task: an index entry, or the reason why there is none."""

    name: str
    state: Literal["made", "kept", "left out", "faulty"]
    entry: IndexEntry | None = None
    reason: str = ""


def run_task(task: PrepareTask) -> PrepareOutcome:
    """Outcome of one task: an existing label map is kept if it matches the index or passes the checks, else remade."""
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
    except Exception as error:  # noqa: BLE001  # this image is faulty, see `io.failures`
        return PrepareOutcome(task.name, "faulty", reason=str(failure_of(error, task.name)))


def inspect(spec: DatasetSpec, root: Path, name: str) -> IndexEntry:
    """Index entry of an image and its label map; the label map is read in full, the image only up to its header.

    Raises:
        SampleError: a file is missing or damaged, a label is outside of the vocabulary, or the sizes differ.
    """
    label, image = spec.label_path(root, name), spec.image_path(root, name)
    values = read_labels(label)
    spec.decode(values, str(label))
    height, width = image_size(image)
    if values.shape != (height, width):
        raise SampleError(
            f"{label}: label map is {values.shape[1]}x{values.shape[0]}, its image {width}x{height}; sizes must agree."
        )
    content = label.read_bytes()
    return IndexEntry(height, width, image.stat().st_size, len(content), checksum(content))


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image after EXIF rotation, read from its header.

    Raises:
        SampleError: the file is missing or not an image.
    """
    try:
        return read_size(path)
    except ImageError as error:
        raise SampleError(f"{error} Unpack the archive of the images again.") from None


def encode_labels(values: UInt[np.ndarray, "H W"], suffix: str) -> bytes:
    """Encoded label map: 8-bit PNG, or 16-bit TIFF with lossless compression (the originals are uncompressed)."""
    buffer = io.BytesIO()
    if suffix == ".tif":
        Image.fromarray(values.astype(np.uint16)).save(buffer, "TIFF", compression="tiff_adobe_deflate")
    else:
        Image.fromarray(values.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _write(task: PrepareTask, label: Path, values: UInt[np.ndarray, "H W"]) -> IndexEntry:
    image = task.spec.image_path(task.root, task.name)
    height, width = image_size(image)
    if values.shape != (height, width):
        raise SampleError(
            f"{image}: image is {width}x{height}, its annotation {values.shape[1]}x{values.shape[0]}; sizes must "
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
