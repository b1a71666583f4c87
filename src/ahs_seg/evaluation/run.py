"""The evaluation loop: read each image ahead in a thread, predict, and accumulate pixel counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from ahs_seg.data.base import Sample, SegmentationDataset
from ahs_seg.data.dataset_config import DatasetConfig, dataset_settings
from ahs_seg.errors import SampleError
from ahs_seg.evaluation.journal import EvaluationJournal, journal_folder
from ahs_seg.evaluation.protocols import Protocol
from ahs_seg.evaluation.report import EvaluationReport, Failure, with_any_images
from ahs_seg.io.failures import failure_of
from ahs_seg.io.progress import ProgressBar
from ahs_seg.io.provenance import provenance
from ahs_seg.io.read_ahead import read_ahead
from ahs_seg.metrics import LabelMap, Measures, MetricAccumulator, count_image

AHEAD: Final = 3
"""Number of images that are prefetched."""

Predictor: TypeAlias = Callable[[UInt8[np.ndarray, "H W 3"]], LabelMap]
"""Maps an RGB image (uint8) to a label map of class indices of the dataset's vocabulary, of the same size."""
SamplePredictor: TypeAlias = Callable[[Sample], LabelMap]
"""Maps a sample to a label map, e.g. one stored on disk; raises `SampleError` if there is none."""


@dataclass
class ProtocolRun:
    """Evaluation under one protocol: its predictor, accumulated counts, failures and journal."""

    protocol: Protocol | str
    answer: SamplePredictor
    tally: MetricAccumulator
    journal: EvaluationJournal | None
    done: set[int] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    def load(self, indices: Collection[int]) -> None:
        """Add the counts of these images that the journal holds."""
        for index, counts in self.journal.read(indices) if self.journal else ():
            self.tally.add(counts)
            self.done.add(index)

    def count(self, index: int, sample: Sample) -> None:
        """Predict one image and add its counts."""
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
    journal: Path | str | None = None,
    identity: str | Mapping[str, object] = "",
    progress: bool = True,
) -> EvaluationReport:
    """Evaluate `predict` on a dataset, or on its items `indices`, and return the report.

    `name` is the dataset name in the report. An item that fails for any reason, while it is read or predicted, is
    reported and left out; what ends the run is in `io.failures`. To distribute the work over processes, give each
    process its own `indices` and merge the reports with `merge_reports`. With a folder as `journal`, a run that was
    killed resumes; `identity` tells what else the predictions depend on, e.g. the weights (see `evaluate_together`).

    Raises:
        EvaluationError: no item could be evaluated (checked only without `indices`), or the journal is another
            evaluation's.
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
        identity=identity,
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
    journal: Path | str | None = None,
    identity: str | Mapping[str, object] = "",
    data: DatasetConfig | None = None,
    progress: bool = True,
) -> list[EvaluationReport]:
    """Evaluate under several protocols in one pass, reading each image once; one report per protocol.

    Arguments are as for `evaluate`; `answers` pairs each protocol with its predictor. `identity` holds anything else
    that the counts depend on, e.g. a digest of the weights, and `data` is the config of the dataset; a journal with
    another identity, or of other data of the same name, is refused. Images are counted anew if their `file_state` in
    the dataset is another one.
    """
    measures = measures or Measures()
    labels = dataset.vocabulary.labels
    chosen = range(len(dataset)) if indices is None else indices
    facts: dict[str, object] = {
        "method": method,
        "identity": identity,
        "dataset": name,
        "images": len(dataset),
        "words": [[entry.label, *entry.names] for entry in dataset.vocabulary.entries],
        "boundary": measures.boundary,
    }
    if data is not None:
        facts["data"] = dataset_settings(data)
    kept = partial(_journal, journal, dataset, facts)
    lanes = [
        ProtocolRun(protocol, answer, MetricAccumulator(len(labels), measures), kept(protocol))
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
    return reports if indices is not None else with_any_images(reports)


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
                except Exception as error:  # noqa: BLE001  # this image fails, see `io.failures`
                    problem = str(failure_of(error, f"image {index}"))
                    lane.failures.append(Failure(index=index, problem=problem))
                    track.say(f"left out: {problem}")


def _read(dataset: SegmentationDataset, index: int) -> Sample | SampleError:
    try:
        return dataset[index]
    except Exception as error:  # noqa: BLE001  # this image fails, see `io.failures`
        return failure_of(error, f"image {index}")


def _journal(
    folder: Path | str | None, dataset: SegmentationDataset, facts: dict[str, object], protocol: Protocol | str
) -> EvaluationJournal | None:
    if folder is None:
        return None
    described: object = protocol
    if isinstance(protocol, Protocol):
        described = {**protocol.model_dump(mode="json"), "inference": protocol.inference.identity}
    state = getattr(dataset, "file_state", None)
    return EvaluationJournal(journal_folder(Path(folder), protocol), {**facts, "protocol": described}, state=state)


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
