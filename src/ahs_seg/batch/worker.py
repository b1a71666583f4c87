"""The work itself: reading ahead, pictures of equal size in one forward, writing behind."""

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
    pictures_of,
    read,
)
from ahs_seg.batch.threads import Background, Writers
from ahs_seg.inference.predict import working_size
from ahs_seg.io.read_ahead import read_ahead
from ahs_seg.output.formats import Exporter, ExportItem, FormatError, open_format
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.segmenter import Segmenter

HELD: Final = 4
"""Full groups of pictures that may be held while waiting for another of the same size."""


class Worker:
    """Segments the pictures of tasks and writes the results; holds a bounded number of pictures at any time."""

    def __init__(self, segmenter: Segmenter, job: BatchJob) -> None:
        self.segmenter = segmenter
        self.job = job
        self.exporters = exporters_of(job)
        self._finished: SimpleQueue[SourceOutcome] = SimpleQueue()

    def __call__(self, tasks: Iterable[SourceTask]) -> Iterator[SourceOutcome]:
        """What became of every picture, in the order in which they are finished."""
        config, batch = self.job.config, self.segmenter.inference.batch
        ahead = batch + config.readers
        pictures = read_ahead(pictures_of(tasks, every=config.every), read, workers=config.readers, ahead=ahead)
        with Background(pictures, ahead=batch) as ready, Writers(workers=config.writers, behind=ahead) as writers:
            for group in self._grouped(ready, batch):
                images = [picture.pixels for picture in group if picture.pixels is not None]
                results = self.segmenter.segment_many(images, self.job.vocabulary)
                for picture, result in zip(group, results, strict=True):
                    writers.submit(partial(self._write, picture, result))
                yield from self._drained()
        yield from self._drained()

    def _grouped(self, ready: Iterable[LoadedImage | Failed], batch: int) -> Iterator[list[LoadedImage]]:
        """Pictures that are worked on at one size, `batch` together while there are so many."""
        waiting: defaultdict[tuple[int, int], list[LoadedImage]] = defaultdict(list)
        for picture in ready:
            if isinstance(picture, Failed) or picture.pixels is None:
                if isinstance(picture, Failed):
                    self._finished.put(picture)
                continue
            height, width = picture.pixels.shape[:2]
            size = working_size((height, width), self.segmenter.inference, self.segmenter.method.backbone.resolution)
            waiting[size].append(picture)
            held = sum(map(len, waiting.values()))
            if len(waiting[size]) == batch or held >= HELD * batch:
                yield waiting.pop(max(waiting, key=lambda one: len(waiting[one])))
        yield from waiting.values()

    def _write(self, picture: LoadedImage, result: Segmentation) -> None:
        source = picture.task.source
        item = ExportItem(Path(picture.name), result, source.path if picture.frame is None else None)
        try:
            for exporter in self.exporters:
                exporter.add(item)
        except FormatError as error:
            self._finished.put(Failed(str(source.path), str(error)))
            return
        height, width = result.labels.shape
        counted = count_labels(result.labels)
        self._finished.put(Done(picture.name, str(source.path), picture.task.stamp, (height, width), counted))

    def _drained(self) -> Iterator[SourceOutcome]:
        while True:
            try:
                yield self._finished.get_nowait()
            except Empty:
                return


def exporters_of(job: BatchJob) -> list[Exporter]:
    """The exporters of a run; every process makes its own."""
    named = [open_format(name, job.output, job.vocabulary) for name in job.config.formats]
    return [*named, *(make(job.output, job.vocabulary) for make in job.exporters)]
