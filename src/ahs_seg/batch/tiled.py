"""Batch segmentation of very large images: segmented tile by tile and written band by band."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from ahs_seg.batch.jobs import BatchJob, Done, Failed, SourceOutcome, SourceTask, count_labels, notes_on
from ahs_seg.batch.sources import BatchError
from ahs_seg.batch.streaming_writers import open_sinks
from ahs_seg.errors import SampleError
from ahs_seg.inference.tiling import check_tileable
from ahs_seg.io.progress import QUIET_SECONDS
from ahs_seg.io.rasters import open_raster
from ahs_seg.output.familiarity import certainty
from ahs_seg.output.formats import Format, open_format
from ahs_seg.output.formats.base import SingleFiles
from ahs_seg.segmenter import Segmenter

TILED_FORMATS: Final[tuple[Format, ...]] = ("png", "overlay", "geotiff")
"""Formats that can be written band by band."""


def check_tiled(segmenter: Segmenter, job: BatchJob) -> None:
    """Check that the method can be run on tiles and that all formats of a job can be written band by band.

    Raises:
        ConfigError: the method refines scores by the whole image.
        BatchError: a format needs whole images.
        ValueError: custom exporters are given; they need whole images.
    """
    check_tileable(segmenter.method)
    if other := [name for name in job.config.formats if name not in TILED_FORMATS]:
        raise BatchError(
            f"{', '.join(other)}: written from whole images; with tiles the formats are "
            f"{', '.join(TILED_FORMATS)}. Leave out --tile, or convert the label maps to {other[0]}."
        )
    if job.exporters:
        raise ValueError(
            "custom exporters need whole images, and with tiles no image is in memory as a whole. Leave out "
            "`exporters` or `tiles`."
        )


class TiledWorker:
    """Segments images of any size one after the other; memory grows only with the width of an image.

    Raises:
        ConfigError, BatchError, ValueError: as by `check_tiled`.
    """

    def __init__(self, segmenter: Segmenter, job: BatchJob, *, say: Callable[[str], None] = lambda _: None) -> None:
        check_tiled(segmenter, job)
        self.segmenter = segmenter
        self.job = job
        self.merger = segmenter.tiled(job.vocabulary, job.config.tiles)
        self._say = say

    def __call__(self, tasks: Iterable[SourceTask]) -> Iterator[SourceOutcome]:
        """Segment all tasks and yield the outcome of each image."""
        for task in tasks:
            try:
                yield self._segment(task)
            except Exception as error:  # noqa: BLE001  # this image fails, see `io.failures`
                yield Failed.of(task.source.path, error)

    def _segment(self, task: SourceTask) -> Done:
        source = task.source
        if source.is_video:
            raise SampleError(f"{source.path}: a video; video frames are not tiled. Leave out --tile for it.")
        pixels: Counter[int] = Counter()
        certain = 0.0
        said = time.monotonic()
        paths, words, style = self._paths(source.name), self.job.vocabulary, self.job.config.overlay
        with (
            open_raster(source.path) as raster,
            open_sinks(paths, source.path, raster.size, words, style) as to,
        ):
            for band in self.merger.bands(raster.rows, raster.size):
                pixels.update(count_labels(band.labels))
                certain += certainty(band.scores) * band.scores.size / math.prod(raster.size)
                for sink in to:
                    sink.write(band)
                if time.monotonic() - said > QUIET_SECONDS:
                    said = time.monotonic()
                    self._say(f"{source.path}: {band.top + len(band.labels)} of {raster.size[0]} rows")
            doubts = self.segmenter.doubts(certain, len(words))
            for sink in to:
                sink.finish(pixels, doubts)
        notes = (*notes_on(source.path), *raster.notes, *doubts)
        return Done(source.name, str(source.path), task.stamp, raster.size, dict(pixels), notes)

    def _paths(self, name: str) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for kind in self.job.config.formats:
            exporter = open_format(kind, self.job.output, self.job.vocabulary, self.job.config.overlay)
            assert isinstance(exporter, SingleFiles), "all of TILED_FORMATS are"
            found[kind] = exporter.path(Path(name))
        return found
