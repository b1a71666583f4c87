"""The local worker: reads ahead, batches images of equal size, and writes results in the background."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8

from ahs_seg.batch.jobs import (
    BatchJob,
    Done,
    Failed,
    LoadedImage,
    SourceOutcome,
    SourceTask,
    count_labels,
    images_of,
    read,
)
from ahs_seg.batch.threads import Background, Writers
from ahs_seg.inference.predict import working_size
from ahs_seg.io.read_ahead import read_ahead
from ahs_seg.output.formats import Exporter, ExportItem, VideoFrame, open_format
from ahs_seg.output.formats.base import Forgetting
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.segmenter import Segmenter

HELD: Final = 4
"""Images that may wait for others of the same size, as a multiple of the batch size."""


class Worker:
    """Segments the images of tasks and writes the results, with a bounded number of images in memory."""

    def __init__(self, segmenter: Segmenter, job: BatchJob) -> None:
        self.segmenter = segmenter
        self.job = job
        self.exporters = exporters_of(job)
        self._finished: SimpleQueue[SourceOutcome] = SimpleQueue()

    def __call__(self, tasks: Iterable[SourceTask]) -> Iterator[SourceOutcome]:
        """Segment all tasks and yield the outcome of each image in order of completion."""
        config, batch = self.job.config, self.segmenter.inference.batch
        ahead = batch + config.readers
        loaded = read_ahead(images_of(tasks, every=config.every), read, workers=config.readers, ahead=ahead)
        with Background(loaded, ahead=batch) as ready, Writers(workers=config.writers, behind=ahead) as writers:
            for group in self._grouped(ready, batch):
                for image, result in self._segmented(group):
                    writers.submit(partial(self._write, image, result))
                yield from self._drained()
        yield from self._drained()

    def _segmented(self, group: list[LoadedImage]) -> Iterator[tuple[LoadedImage, Segmentation]]:
        """The results of a batch; if it fails as a whole, its images are segmented one by one."""
        arrays = [image.pixels for image in group if image.pixels is not None]
        try:
            results = self._results(arrays)
        except Exception as error:  # noqa: BLE001  # one of these images fails, see `io.failures`
            failed = Failed.of(group[0].task.source.path, error)
            if len(group) == 1:
                self._finished.put(failed)
                return
        else:
            yield from zip(group, results, strict=True)
            return
        for image in group:
            yield from self._segmented([image])

    def _results(self, images: list[UInt8[np.ndarray, "_ _ 3"]]) -> list[Segmentation]:
        words, config = self.job.vocabulary, self.job.config
        if config.top_k is None:
            return self.segmenter.segment_many(images, words, config.unknown_below)
        asked: Any = {"top_k": config.top_k, "unknown_below": config.unknown_below}
        return [self.segmenter(image, words, **asked) for image in images]

    def _grouped(self, ready: Iterable[LoadedImage | Failed], batch: int) -> Iterator[list[LoadedImage]]:
        """Group images of equal working size into batches of `batch`, fewer at the end or when too many wait."""
        waiting: defaultdict[tuple[int, int], list[LoadedImage]] = defaultdict(list)
        for image in ready:
            if isinstance(image, Failed):
                self._finished.put(image)
                continue
            try:
                size = self._working_size(image)
            except Exception as error:  # noqa: BLE001  # this image fails, see `io.failures`
                self._finished.put(Failed.of(image.task.source.path, error))
                continue
            waiting[size].append(image)
            held = sum(map(len, waiting.values()))
            if len(waiting[size]) == batch or held >= HELD * batch:
                yield waiting.pop(max(waiting, key=lambda one: len(waiting[one])))
        yield from waiting.values()

    def _working_size(self, image: LoadedImage) -> tuple[int, int]:
        """The (height, width) at which an image is processed."""
        assert image.pixels is not None, "it was read"
        height, width = image.pixels.shape[:2]
        method = self.segmenter.method
        return working_size(
            (height, width), self.segmenter.inference, method.backbone.resolution, keep_aspect=method.keeps_aspect
        )

    def _write(self, image: LoadedImage, result: Segmentation) -> None:
        source = image.task.source
        item = item_of(image, result)
        try:
            for exporter in self.exporters:
                exporter.add(item)
            height, width = result.labels.shape
            counted = count_labels(result.labels)
        except Exception as error:  # noqa: BLE001  # this image fails, see `io.failures`
            forget(self.exporters, image.name)
            self._finished.put(Failed.of(source.path, error))
            return
        done = Done(
            image.name, str(source.path), image.task.stamp, (height, width), counted, (*image.notes, *result.warnings)
        )
        self._finished.put(done)

    def _drained(self) -> Iterator[SourceOutcome]:
        while True:
            try:
                yield self._finished.get_nowait()
            except Empty:
                return


def exporters_of(job: BatchJob) -> list[Exporter]:
    """Create the exporters of a run; called once in every process."""
    named = [open_format(name, job.output, job.vocabulary, job.config.overlay) for name in job.config.formats]
    return [*named, *(make(job.output, job.vocabulary) for make in job.exporters)]


def forget(exporters: Iterable[Exporter], name: str) -> None:
    """Remove the result of this name from the files of the run as a whole, if there is one."""
    for exporter in exporters:
        if isinstance(exporter, Forgetting):
            exporter.forget(Path(name))


def item_of(image: LoadedImage, result: Segmentation) -> ExportItem:
    """The result of an image with its names: those of its output files, and its own in annotation files."""
    source = image.task.source
    if image.frame is not None:
        return ExportItem(Path(image.name), result, frame=VideoFrame(source.own_name, image.frame, source.path))
    return ExportItem(Path(image.name), result, source.path)
