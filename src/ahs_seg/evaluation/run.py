"""Evaluation picture by picture: read ahead in a thread, predict, count, forget."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from ahs_seg.data.base import Sample, SegmentationDataset
from ahs_seg.errors import SampleError
from ahs_seg.evaluation.journal import EvaluationJournal, journal_folder
from ahs_seg.evaluation.protocols import Protocol
from ahs_seg.evaluation.report import EvaluationReport, Failure, with_images
from ahs_seg.io.progress import ProgressBar
from ahs_seg.io.provenance import provenance
from ahs_seg.io.read_ahead import read_ahead
from ahs_seg.metrics import LabelMap, Measures, MetricAccumulator, count_image

AHEAD: Final = 3
"""Pictures read ahead of the one that is worked on."""

Predictor: TypeAlias = Callable[[UInt8[np.ndarray, "H W 3"]], LabelMap]
"""RGB bytes to one index of the dataset's vocabulary per pixel, at the picture's own size."""
SamplePredictor: TypeAlias = Callable[[Sample], LabelMap]
"""The same for a sample, for predictions that were made elsewhere; `SampleError` where there is none."""


@dataclass
class ProtocolRun:
    """One way to predict every picture, and its counts so far."""

    protocol: Protocol | str
    answer: SamplePredictor
    tally: MetricAccumulator
    journal: EvaluationJournal | None
    done: set[int] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    def load(self, indices: Collection[int]) -> None:
        """Take over what the journal holds of these pictures."""
        for index, counts in self.journal.read(indices) if self.journal else ():
            self.tally.add(counts)
            self.done.add(index)

    def count(self, index: int, sample: Sample) -> None:
        """Predict and count one picture."""
        began = time.perf_counter()
        prediction = self.answer(sample)
        values = prediction.detach().cpu().numpy() if isinstance(prediction, Tensor) else prediction
        counts = count_image(
            values,
            sample.labels,
            len(self.tally.confusion),
            boundary=self.tally.measures.boundary,
        )
        self.tally.add(counts)
        self.done.add(index)
        if self.journal is not None:
            self.journal.write(index, counts)
        self.seconds += time.perf_counter() - began


def evaluate(
    predict: Predictor,
    dataset: SegmentationDataset,
    *,
    method: str,
    name: str,
    protocol: Protocol | str,
    seen: Collection[str] | None = None,
    indices: Sequence[int] | None = None,
    measures: Measures | None = None,
    journal: Path | None = None,
    progress: bool = True,
) -> EvaluationReport:
    """Scores of `predict` on a dataset (or on `indices` of it) that reports call `name`.

    An item that cannot be read is reported and left out; it does not stop the run. To share the work among processes,
    give each its own `indices` and merge the reports. With a folder as `journal`, a run that was killed goes on where
    it was.

    Raises:
        EvaluationError: no item could be read (of parts, `merge_reports` says so), or a journal of something else.
        MetricError: a prediction of the wrong size or with values outside the vocabulary.
    """
    return evaluate_together(
        [(protocol, lambda sample: predict(sample.image))],
        dataset,
        method=method,
        name=name,
        seen=seen,
        indices=indices,
        measures=measures,
        journal=journal,
        progress=progress,
    )[0]


def evaluate_together(
    answers: Sequence[tuple[Protocol | str, SamplePredictor]],
    dataset: SegmentationDataset,
    *,
    method: str,
    name: str,
    seen: Collection[str] | None = None,
    indices: Sequence[int] | None = None,
    measures: Measures | None = None,
    journal: Path | None = None,
    identity: str = "",
    progress: bool = True,
) -> list[EvaluationReport]:
    """Reports of several protocols from one pass: each picture is read once; otherwise as `evaluate`.

    `identity` says what else the counts depend on, e.g. a hash of the weights; a journal belongs to one identity.
    """
    measures = measures or Measures()
    labels = dataset.vocabulary.labels
    chosen = range(len(dataset)) if indices is None else indices
    facts = {
        "method": method,
        "identity": identity,
        "dataset": name,
        "images": len(dataset),
        "words": [[entry.label, *entry.names] for entry in dataset.vocabulary.entries],
        "boundary": measures.boundary,
    }
    lanes = [
        ProtocolRun(protocol, answer, MetricAccumulator(len(labels), measures), _journal(journal, protocol, facts))
        for protocol, answer in answers
    ]
    for lane in lanes:
        lane.load(chosen)
    try:
        _run(lanes, dataset, chosen, ProgressBar(f"evaluating {name}", shown=progress))
    finally:
        for lane in lanes:
            if lane.journal is not None:
                lane.journal.close()
    known = None if seen is None else tuple(sorted(seen))
    reports = [_report(lane, method, name, labels, known) for lane in lanes]
    return [with_images(report) for report in reports] if indices is None else reports


def _run(
    lanes: Sequence[ProtocolRun], dataset: SegmentationDataset, indices: Sequence[int], track: ProgressBar
) -> None:
    left = [index for index in indices if any(index not in lane.done for lane in lanes)]
    with closing(read_ahead(left, partial(_read, dataset), workers=1, ahead=AHEAD)) as samples:
        for index in track(left):
            sample = next(samples)
            for lane in lanes:
                if index in lane.done:
                    continue
                try:
                    if isinstance(sample, SampleError):
                        raise sample
                    lane.count(index, sample)
                except SampleError as error:
                    lane.failures.append(Failure(index=index, problem=str(error)))
                    track.say(f"left out: {error}")


def _read(dataset: SegmentationDataset, index: int) -> Sample | SampleError:
    try:
        return dataset[index]
    except SampleError as error:
        return error


def _journal(folder: Path | None, protocol: Protocol | str, facts: dict[str, object]) -> EvaluationJournal | None:
    if folder is None:
        return None
    described = protocol.model_dump(mode="json") if isinstance(protocol, Protocol) else protocol
    return EvaluationJournal(journal_folder(folder, protocol), {**facts, "protocol": described})


def _report(
    lane: ProtocolRun, method: str, name: str, labels: Sequence[str], seen: tuple[str, ...] | None
) -> EvaluationReport:
    protocol = lane.protocol
    named = protocol if isinstance(protocol, Protocol) else None
    return EvaluationReport(
        method=method,
        dataset=name,
        protocol=str(protocol) if named is None else named.title,
        settings={} if named is None else named.settings,
        denominator="labelled" if named is None else named.denominator,
        labels=tuple(labels),
        seen=seen,
        images=len(lane.done),
        failures=tuple(lane.failures),
        measures=lane.tally.measures,
        counts=lane.tally.to_dict(),
        seconds=lane.seconds,
        provenance=provenance(),
    )
