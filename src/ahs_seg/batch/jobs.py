"""What travels through a run: sources to do, pictures on their way, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Int32, UInt8
from pydantic import PositiveInt

from ahs_seg.batch.sources import InputSource
from ahs_seg.checkpoints.model_dir import read_description
from ahs_seg.checkpoints.zoo import find_model
from ahs_seg.config import Config
from ahs_seg.errors import SampleError
from ahs_seg.inference.tiling import TileConfig
from ahs_seg.io.images import read_image
from ahs_seg.io.video import read_frames
from ahs_seg.output.formats import Exporter, Format
from ahs_seg.output.palette import areas
from ahs_seg.segmenter import Segmenter
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary

ExporterClass: TypeAlias = Callable[[Path, Vocabulary], Exporter]
"""Makes the exporter of a run from the folder of its outputs and its vocabulary; every process makes its own."""

Stamp: TypeAlias = tuple[int, int]
"""Size and time of change of a file: if they are the same, so is the file."""


class BatchConfig(Config):
    """What is written, and how the work is divided.

    Of videos every `every`-th frame is segmented. `readers` and `writers` are threads beside the forward. With `tiles`,
    pictures are segmented at their own resolution, tile by tile, and never lie in memory as a whole.
    """

    formats: tuple[Format, ...] = ("png", "overlay")
    every: PositiveInt = 1
    readers: PositiveInt = 2
    writers: PositiveInt = 2
    tiles: TileConfig | None = None


@dataclass(frozen=True, slots=True)
class BatchJob:
    """What all workers of a run have in common; `exporters` are formats of the caller's own."""

    vocabulary: Vocabulary
    output: Path
    config: BatchConfig
    exporters: tuple[ExporterClass, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceTask:
    """One source to work on; of a video, the frames in `skip` are done already."""

    source: InputSource
    stamp: Stamp
    skip: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """One picture on its way; a frame of a video is decoded from the start, a file later, by a reader."""

    task: SourceTask
    frame: int | None = None
    pixels: UInt8[np.ndarray, "H W 3"] | None = None

    @property
    def name(self) -> str:
        """What its results are called."""
        return self.task.source.name if self.frame is None else frame_name(self.task.source, self.frame)


@dataclass(frozen=True, slots=True)
class Done:
    """A picture whose results are on the disk: its size, and pixels per label (-1: unknown)."""

    name: str
    path: str
    stamp: Stamp
    size: tuple[int, int]
    pixels: dict[int, int]


@dataclass(frozen=True, slots=True)
class Failed:
    """A picture, or the rest of a video, that could not be used, and why."""

    path: str
    reason: str


SourceOutcome: TypeAlias = Done | Failed
EngineName: TypeAlias = Literal["local", "ray"]


def frame_name(source: InputSource, frame: int) -> str:
    """What the results of a frame are called."""
    return f"{source.name}/{frame:06d}"


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file; zeros for one that is not there, which reading it is going to report."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def pictures_of(tasks: Iterable[SourceTask], *, every: int) -> Iterator[LoadedImage | Failed]:
    """The pictures of all tasks; those of files are not read yet, those of videos are."""
    for task in tasks:
        if not task.source.is_video:
            yield LoadedImage(task)
            continue
        try:
            for frame, pixels in read_frames(task.source.path, every=every):
                if frame not in task.skip:
                    yield LoadedImage(task, frame, pixels)
        except SampleError as error:
            yield Failed(str(task.source.path), str(error))


def read(picture: LoadedImage | Failed) -> LoadedImage | Failed:
    """The picture with its pixels."""
    if isinstance(picture, Failed) or picture.pixels is not None:
        return picture
    try:
        return replace(picture, pixels=read_image(picture.task.source.path))
    except SampleError as error:
        return Failed(str(picture.task.source.path), str(error))


def count_labels(labels: Int32[np.ndarray, "H W"]) -> dict[int, int]:
    """The number of pixels of every label that occurs."""
    counts = areas(labels)
    unknown = labels.size - sum(counts.values())
    return counts | ({IGNORE: unknown} if unknown else {})


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model as every process can load it: what `Segmenter.from_pretrained` takes, and how it runs.

    The device "auto" is a GPU if there is one; `batch` is the number of views in one forward (None: the model's own).
    """

    source: str
    device: str = "auto"
    batch: int | None = None

    def load(self) -> Segmenter:
        """The segmenter."""
        directory = find_model(self.source)
        inference = read_description(directory).inference
        if self.batch is not None:
            inference = inference.replace(batch=self.batch)
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        return Segmenter.from_pretrained(directory, inference=inference, device=device)
