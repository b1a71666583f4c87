"""Batch segmentation of many files: a bad file is reported and skipped, and a killed run can resume."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from ahs_seg.batch.identity import STYLE, run_identity
from ahs_seg.batch.jobs import (
    BatchConfig,
    BatchJob,
    Done,
    ExporterClass,
    Failed,
    SourceOutcome,
    SourceTask,
    Stamp,
    frame_name,
    stamp_of,
)
from ahs_seg.batch.journal import BatchJournal
from ahs_seg.batch.sources import InputSource, list_sources
from ahs_seg.batch.summary import BatchSummary
from ahs_seg.batch.tiled import TiledWorker, check_tiled
from ahs_seg.batch.worker import Worker, exporters_of, forget
from ahs_seg.errors import RunInterrupted
from ahs_seg.inference.results import OutputOptions
from ahs_seg.io.folder_lock import locked
from ahs_seg.io.progress import ProgressBar
from ahs_seg.io.video import check_decoder, count_frames
from ahs_seg.output.formats import Exporter, FormatError
from ahs_seg.output.formats.geotiff import check_geotiff
from ahs_seg.output.formats.video import check_film_encoder
from ahs_seg.output.formats.yolo import check_beside
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.vocabulary import ClassSource, Vocabulary, warn_of_single_class

Engine: TypeAlias = Callable[[BatchJob, Iterable[SourceTask]], Iterator[SourceOutcome]]
"""Runs the tasks of a job and yields their outcomes."""


def check_packages(sources: Sequence[InputSource], config: BatchConfig) -> None:
    """Check that the optional packages for these inputs and formats are installed, before a model is loaded.

    Raises:
        MissingPackageError: one is not.
        FormatError: films are asked for, but there is no H.264 encoder, or no video among the inputs; or the files of
            another format would lie among the images of yolo.
    """
    if any(source.is_video for source in sources):
        check_decoder()
    if "yolo" in config.formats:
        check_beside(config.formats, (frame_name(one, 0) if one.is_video else one.name for one in sources))
    if "geotiff" in config.formats:
        check_geotiff()
    if "video" in config.formats:
        check_film_encoder()
        if not any(source.is_video for source in sources):
            raise FormatError(
                "the format video writes a film for each video, and none of the inputs is one. Give a video, or choose "
                "the format overlay."
            )


def segment_files(
    segmenter: Segmenter,
    inputs: Path | str | InputSource | Iterable[Path | str | InputSource],
    classes: ClassSource,
    output: Path | str,
    *,
    config: BatchConfig | None = None,
    resume: bool = False,
    engine: Engine | None = None,
    exporters: Sequence[ExporterClass] = (),
    progress: bool = True,
) -> BatchSummary:
    """Segment image files, folders, glob patterns and videos, and write the results in all requested formats.

    `inputs` are as for `list_sources`. With `resume`, images that are done and unchanged are skipped. A file that
    cannot be used, for any reason, is counted and reported; what ends a run is in `io.failures`. `engine` runs the
    tasks (None: threads of this process), see `RayEngine`. `exporters` are custom formats in addition to
    `config.formats`: callables that take the output folder and the vocabulary and return an `Exporter`.

    Raises:
        RunInterrupted: Ctrl-C; the message says how many images are done.
        AhsSegError: inputs, class names or output folder cannot be used, another run writes there, or it is removed.
        OSError: the disk is full or cannot be written.
    """
    began = time.monotonic()
    job = BatchJob(Vocabulary.parse(classes), Path(output), config or BatchConfig(), tuple(exporters))
    if job.config.tiles is not None:
        check_tiled(segmenter, job)
    sources = list_sources(inputs, output=job.output)
    check_packages(sources, job.config)
    request = OutputOptions(unknown_below=job.config.unknown_below)
    request.check(segmenter.calibration, probabilities=segmenter.method.merging.softmax)
    segmenter.encode(job.vocabulary)
    job = replace(job, identity=run_identity(segmenter, job))
    warn_of_single_class(job.vocabulary)
    summary = BatchSummary(job.output, job.vocabulary.labels, left_out=sources.left_out)
    summary.failures += [Failed(path, reason) for path, reason in sources.unreachable]
    writers = exporters_of(job)
    track = ProgressBar("segmenting", shown=progress)
    do = engine or _local(segmenter, track.say)
    with locked(job.output), closing(_journal(job, resume=resume)) as journal:
        for exporter in writers:
            exporter.start(resume=resume)
        for name in _renamed(journal, sources) if resume else ():
            forget(writers, name)
        plan = _Plan(sources, writers, {one.name: one.stamp for one in journal} if resume else {}, job.config)
        for earlier in journal if resume else ():
            if plan.is_done(earlier.name):
                summary.add_skipped(earlier)
        if summary.skipped:
            track.say(f"{summary.skipped} already done")
        with track.counting(plan.total - summary.skipped) as count:
            try:
                for outcome in do(job, plan.tasks()):
                    journal.check_folder()
                    if isinstance(outcome, Failed):
                        track.say(f"left out: {outcome.reason}")
                    else:
                        journal.write(outcome)
                        plan.outdated.discard(outcome.name)
                    summary.add(outcome)
                    count()
            except KeyboardInterrupt:
                raise RunInterrupted(summary.so_far(plan.total)) from None
        for name in plan.outdated:
            forget(writers, name)
        summary.files = tuple(path for exporter in writers for path in exporter.finish())
    summary.seconds = time.monotonic() - began
    return summary


def _local(segmenter: Segmenter, say: Callable[[str], None]) -> Engine:
    """Engine that runs the tasks with threads of this process."""

    def do(job: BatchJob, tasks: Iterable[SourceTask]) -> Iterator[SourceOutcome]:
        work = Worker(segmenter, job) if job.config.tiles is None else TiledWorker(segmenter, job, say=say)
        yield from work(tasks)

    return do


class _Plan:
    """Plan of a run: all images of the sources, minus those already done, unchanged and with complete results.

    `outdated` are the names whose results, if there are any, are of an earlier run, until this one has written them.
    """

    def __init__(
        self,
        sources: Sequence[InputSource],
        exporters: Sequence[Exporter],
        noted: dict[str, Stamp],
        config: BatchConfig,
    ) -> None:
        self._stamps = {source: stamp_of(source.path) for source in sources}
        self._done: set[str] = set()
        self._frames: dict[InputSource, frozenset[int]] = {}
        self.outdated: set[str] = set()
        self.total = 0

        def whole(name: str, stamp: Stamp) -> bool:
            return noted.get(name) == stamp and all(exporter.has(Path(name)) for exporter in exporters)

        for source, stamp in self._stamps.items():
            if source.is_video:
                self.total += _expected_frames(source.path, config.every)
                frames = dict(_frames_in(noted, source))
                asked = {name for name, frame in frames.items() if frame % config.every == 0}
                found = {name for name in asked if whole(name, stamp)}
                self.outdated |= asked | {name for name in frames if noted[name] != stamp}
                self._frames[source] = frozenset(frames[name] for name in found)
            else:
                self.total += 1
                found = {source.name} if whole(source.name, stamp) else set()
                self.outdated.add(source.name)
            self._done |= found
        self.outdated -= self._done

    def is_done(self, name: str) -> bool:
        """Whether the image of this name is already done and is skipped."""
        return name in self._done

    def tasks(self) -> Iterator[SourceTask]:
        """Iterate over the remaining tasks."""
        for source, stamp in self._stamps.items():
            if source.name not in self._done:
                yield SourceTask(source, stamp, self._frames.get(source, frozenset()))


def _expected_frames(path: Path, every: int) -> int:
    """Number of frames by the header of a video, for the progress bar; 0 for one that cannot be read."""
    try:
        return count_frames(path, every=every)
    except Exception:  # noqa: BLE001  # decoders raise anything on damaged files
        return 0


def _frames_in(names: Iterable[str], source: InputSource) -> Iterator[tuple[str, int]]:
    for name in names:
        folder, _, number = name.rpartition("/")
        if folder == source.name and number.isdigit():
            yield name, int(number)


def _renamed(journal: Iterable[Done], sources: Iterable[InputSource]) -> Iterator[str]:
    """Names under which an earlier run has results of the sources that are now called otherwise (see `naming`)."""
    names = {source.own_name: source.name for source in sources}
    for earlier in journal:
        source = InputSource(Path(earlier.path), earlier.name)
        if source.is_video:
            source = replace(source, name=earlier.name.rpartition("/")[0])  # of the frame
        if names.get(source.own_name, source.name) != source.name:
            yield earlier.name


def _journal(job: BatchJob, *, resume: bool) -> BatchJournal:
    """The journal of a run; what only formats depend on that it does not write is not compared."""
    users = {"top_k": {"npz"}, STYLE: {"overlay", "video"}}
    unused = [key for key, formats in users.items() if not formats & {*job.config.formats}]
    identity = {key: value for key, value in job.identity.items() if key not in unused}
    return BatchJournal(job.output, identity, resume=resume, unused=unused)
