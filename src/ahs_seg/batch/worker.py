"""The local worker: reads ahead, batches images of equal size, and writes results in the background."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

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
from ahs_seg.output.formats import Exporter, ExportItem, FormatError, open_format
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
                arrays = [image.pixels for image in group if image.pixels is not None]
                results = self.segmenter.segment_many(arrays, self.job.vocabulary)
                for image, result in zip(group, results, strict=True):
                    writers.submit(partial(self._write, image, result))
                yield from self._drained()
        yield from self._drained()

    def _grouped(self, ready: Iterable[LoadedImage | Failed], batch: int) -> Iterator[list[LoadedImage]]:
        """Group images of equal working size into batches of `batch`, fewer at the end or when too many wait."""
        waiting: defaultdict[tuple[int, int], list[LoadedImage]] = defaultdict(list)
        for image in ready:
            if isinstance(image, Failed) or image.pixels is None:
                if isinstance(image, Failed):
                    self._finished.put(image)
                continue
            height, width = image.pixels.shape[:2]
            size = working_size((height, width), self.segmenter.inference, self.segmenter.method.backbone.resolution)
            waiting[size].append(image)
            held = sum(map(len, waiting.values()))
            if len(waiting[size]) == batch or held >= HELD * batch:
                yield waiting.pop(max(waiting, key=lambda one: len(waiting[one])))
        yield from waiting.values()

    def _write(self, image: LoadedImage, result: Segmentation) -> None:
        source = image.task.source
        item = ExportItem(Path(image.name), result, source.path if image.frame is None else None)
        try:
            for exporter in self.exporters:
                exporter.add(item)
        except FormatError as error:
            self._finished.put(Failed(str(source.path), str(error)))
            return
        height, width = result.labels.shape
        counted = count_labels(result.labels)
        self._finished.put(Done(image.name, str(source.path), image.task.stamp, (height, width), counted))

    def _drained(self) -> Iterator[SourceOutcome]:
        while True:
            try:
                yield self._finished.get_nowait()
            except Empty:
                return


def exporters_of(job: BatchJob) -> list[Exporter]:
    """Create the exporters of a run; called once in every process."""
    named = [open_format(name, job.output, job.vocabulary) for name in job.config.formats]
    return [*named, *(make(job.output, job.vocabulary) for make in job.exporters)]
