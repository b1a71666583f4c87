"""Data types of a batch run: configuration, tasks, loaded images and their outcomes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import numpy as np
from jaxtyping import Int32, UInt8
from pydantic import Field, PositiveInt, model_validator

from ahs_seg.batch.sources import InputSource
from ahs_seg.checkpoints.known import DEFAULT_MODEL
from ahs_seg.config import Config
from ahs_seg.inference.text_cache import TextCache
from ahs_seg.inference.tiling import TileConfig
from ahs_seg.io.devices import find_device
from ahs_seg.io.extras import Runtime
from ahs_seg.io.failures import ends_run, reason_of
from ahs_seg.io.image_files import has_several_images
from ahs_seg.io.images import MAX_PIXELS
from ahs_seg.io.rasters import open_raster
from ahs_seg.io.video import read_frames
from ahs_seg.output.formats import Exporter, Format
from ahs_seg.output.legend import OverlayStyle
from ahs_seg.output.palette import areas
from ahs_seg.segmenter import Segmenter
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

FIRST_ONLY: Final = "several images (frames or pages) in one file; only the first was segmented"

MAX_THREADS: Final = 256
"""Largest number of threads that read or write the images of a run."""

Threads: TypeAlias = Annotated[int, Field(ge=1, le=MAX_THREADS)]

ExporterClass: TypeAlias = Callable[[Path, Vocabulary], Exporter]
"""Creates an exporter from the output folder and the vocabulary; called once in every process."""

Stamp: TypeAlias = tuple[int, int]
"""Size and modification time (ns) of a file; a file with an equal stamp is taken as unchanged."""


class BatchConfig(Config):
    """Output formats, frame sampling, numbers of threads and tiling of a batch run.

    Every `every`-th frame of a video is segmented. `readers` and `writers` are numbers of threads for reading and
    writing. With `tiles`, images are segmented at full resolution tile by tile and are never in memory as a whole. With
    `top_k`, the format npz has that many classes for every pixel. Pixels with a confidence below `unknown_below` get no
    class, as in `Segmenter.__call__`. `overlay` says what is drawn on overlays.
    """

    formats: tuple[Format, ...] = ("png", "overlay")
    every: PositiveInt = 1
    readers: Threads = 2
    writers: Threads = 2
    tiles: TileConfig | None = None
    top_k: PositiveInt | None = None
    overlay: OverlayStyle = OverlayStyle()
    unknown_below: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _check_whole_images(self) -> BatchConfig:
        if self.top_k is not None and ("npz" not in self.formats or self.tiles is not None):
            raise ValueError("top_k is written by the format npz, from whole images; add npz, and leave tiles out")
        if self.unknown_below is not None and self.tiles is not None:
            raise ValueError("unknown_below is for whole images; leave it or tiles out")
        return self


@dataclass(frozen=True, slots=True)
class BatchJob:
    """Settings shared by all workers of a run; `exporters` are custom output formats of the caller.

    `identity` is the `run_identity` of the caller's segmenter, for workers that load a model of their own.
    """

    vocabulary: Vocabulary
    output: Path
    config: BatchConfig
    exporters: tuple[ExporterClass, ...] = ()
    identity: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceTask:
    """One image or video to segment; frames of a video in `skip` are already done."""

    source: InputSource
    stamp: Stamp
    skip: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """One image to segment; `pixels` is set at once for a video frame, and by a reader thread for a file."""

    task: SourceTask
    frame: int | None = None
    pixels: UInt8[np.ndarray, "H W 3"] | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the results: a relative path without extension."""
        return self.task.source.name if self.frame is None else frame_name(self.task.source, self.frame)


@dataclass(frozen=True, slots=True)
class Done:
    """An image whose results are on disk: its (height, width), and pixel counts by label (-1: unknown).

    `notes` say what was left out of it, e.g. further images of its file, and why its labels may mean little.
    """

    name: str
    path: str
    stamp: Stamp
    size: tuple[int, int]
    pixels: dict[int, int]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Done:
        """The image of a record in JSON: tuples are lists there, and labels are texts."""
        (size, changed), (height, width) = record["stamp"], record["size"]
        pixels = {int(label): count for label, count in record["pixels"].items()}
        notes = tuple(record.get("notes", ()))
        return cls(record["name"], record["path"], (size, changed), (height, width), pixels, notes)


@dataclass(frozen=True, slots=True)
class Failed:
    """An image, or the remaining frames of a video, that could not be segmented, with the reason."""

    path: str
    reason: str

    @classmethod
    def of(cls, path: Path, error: Exception) -> Failed:
        """The failure of one image, whatever its error; errors that concern all further images are raised again."""
        if ends_run(error):
            raise error
        logger.debug("%s failed", path, exc_info=error)
        return cls(str(path), reason_of(error, path))


SourceOutcome: TypeAlias = Done | Failed
EngineName: TypeAlias = Literal["local", "ray"]


def frame_name(source: InputSource, frame: int) -> str:
    """Name of the results of a video frame."""
    return f"{source.name}/{frame:06d}"


def stamp_of(path: Path) -> Stamp:
    """Stamp of a file; zeros if it does not exist, which is reported later when it is read."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def images_of(tasks: Iterable[SourceTask], *, every: int) -> Iterator[LoadedImage | Failed]:
    """Iterate over the images of all tasks; video frames are decoded, image files are not read yet."""
    for task in tasks:
        if not task.source.is_video:
            yield LoadedImage(task)
            continue
        try:
            for frame, pixels in read_frames(task.source.path, every=every):
                if frame not in task.skip:
                    yield LoadedImage(task, frame, pixels)
        except Exception as error:  # noqa: BLE001  # the rest of this video fails, see `io.failures`
            yield Failed.of(task.source.path, error)


def read(image: LoadedImage | Failed) -> LoadedImage | Failed:
    """Read the pixels of an image if they are not set; a file that cannot be read becomes `Failed`."""
    if isinstance(image, Failed) or image.pixels is not None:
        return image
    path = image.task.source.path
    try:
        with open_raster(path, max_pixels=MAX_PIXELS) as raster:
            return replace(image, pixels=raster.rows(0, raster.size[0]), notes=(*notes_on(path), *raster.notes))
    except Exception as error:  # noqa: BLE001  # this image fails, see `io.failures`
        return Failed.of(path, error)


def notes_on(path: Path) -> tuple[str, ...]:
    """What is left out of an image file that was read."""
    return (FIRST_ONLY,) if has_several_images(path) else ()


def count_labels(labels: Int32[np.ndarray, "H W"]) -> dict[int, int]:
    """Pixel count of every label that occurs, including `IGNORE`."""
    counts = areas(labels)
    unknown = labels.size - sum(counts.values())
    return counts | ({IGNORE: unknown} if unknown else {})


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that any process can load: the argument of `Segmenter.from_pretrained`, device, batch size and runtime.

    The device "auto" is a CUDA GPU if there is one; `batch` is the number of views per forward pass (None: as the
    model's config says). `dtype` and `threads` are those of `Segmenter.from_pretrained`; without `cache`, text
    embeddings are not kept on disk.
    """

    source: str = DEFAULT_MODEL
    device: str = "auto"
    batch: int | None = None
    dtype: str = "fp32"
    threads: int | None = None
    cache: bool = True
    runtime: Runtime = "torch"

    def load(self) -> Segmenter:
        """Load the segmenter on its device.

        Raises:
            DeviceError: there is no such device.
            PrecisionError: there is no such type, or the device cannot compute in it.
            ThreadsError: the number of threads is not allowed.
            CheckpointError: the model cannot be found or read, or has no graphs for the runtime.
        """
        segmenter = Segmenter.from_pretrained(
            self.source,
            device=find_device(self.device) if self.runtime == "torch" else self.device,
            dtype=self.dtype,
            threads=self.threads,
            cache=None if self.cache else TextCache(),
            runtime=self.runtime,
        )
        if self.batch is not None:
            segmenter.inference = segmenter.inference.replace(batch=self.batch)
        return segmenter
