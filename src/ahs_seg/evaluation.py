"""One call per benchmark: a predictor and a dataset in, a report with its provenance out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import UInt8
from pydantic import Field

from ahs_seg.config import Config, ConfigError
from ahs_seg.data.base import SampleError, SegmentationDataset
from ahs_seg.files import write_text
from ahs_seg.metrics import ConfusionMatrix, LabelMap, Scores
from ahs_seg.progress import Track
from ahs_seg.provenance import Provenance, provenance

Predictor: TypeAlias = Callable[[UInt8[np.ndarray, "H W 3"]], LabelMap]
"""RGB bytes to one index of the dataset's vocabulary per pixel, at the picture's own size."""


class EvaluationError(ValueError):
    """An evaluation that cannot give a score."""


class Failure(Config):
    """One item that could not be evaluated, and why."""

    index: int
    problem: str


class EvaluationReport(Config):
    """Everything one evaluation found; the scores follow from the counts.

    `protocol` names how pictures were shown and answers merged: scores of different protocols are different numbers.
    `seen` are the class names that training knew, `None` where that has no meaning.
    """

    method: str
    dataset: str
    protocol: str
    labels: tuple[str, ...]
    seen: tuple[str, ...] | None = None
    images: int
    failures: tuple[Failure, ...] = ()
    counts: dict[str, list[int] | list[list[int]]] = Field(repr=False)
    seconds: float
    provenance: Provenance = Field(repr=False)

    @property
    def scores(self) -> Scores:
        """The scores, in [0, 1]."""
        return ConfusionMatrix.from_dict(self.counts).scores(self.labels, seen=self.seen)

    def __str__(self) -> str:
        """A few lines for a terminal: what was evaluated and the scores in percent."""
        lines = [f"{self.method} on {self.dataset}: {self.images} images in {self.seconds:.0f} s ({self.protocol})"]
        scores = self.scores.summary()
        lines.append("  ".join(f"{name} {100 * value:.1f}" for name, value in scores.items()))
        lines += [f"left out: {failure.problem}" for failure in self.failures]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values ready for JSON, the scores among them."""
        scores = self.scores
        numbers = {**scores.summary(), "classes_labelled": scores.classes_labelled}
        per_class = {label: iou for label, iou in zip(self.labels, scores.iou, strict=True) if iou is not None}
        return {"scores": numbers, "iou": per_class, **self.model_dump(mode="json")}

    def save(self, path: Path) -> None:
        """Write the report as JSON, in one step."""
        write_text(path, json.dumps(self.to_dict(), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> EvaluationReport:
        """What `save` wrote; the scores are computed again from the counts."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EvaluationError(f"{path}: not a report ({error}). Give a file that `evaluate` wrote.") from None
        if not isinstance(values, dict) or "counts" not in values:
            raise EvaluationError(f"{path}: holds no report. Give a file that `evaluate` wrote.")
        stored = {key: value for key, value in values.items() if key not in ("scores", "iou")}
        try:
            return cls.parse(stored, source=str(path))
        except ConfigError as error:
            raise EvaluationError(str(error)) from None


def evaluate(
    predict: Predictor,
    dataset: SegmentationDataset,
    *,
    method: str,
    name: str,
    protocol: str,
    seen: Collection[str] | None = None,
    indices: Sequence[int] | None = None,
    pairs: bool = False,
    progress: bool = True,
) -> EvaluationReport:
    """Scores of `predict` on a dataset (or on `indices` of it) that reports call `name`.

    An item that cannot be read is reported and left out; it does not stop the run. To share the work among processes,
    give each its own `indices` and merge the reports. `pairs` counts every pair of label and prediction as well.

    Raises:
        EvaluationError: no item could be read (of parts, `merge_reports` says so).
        ValueError: a prediction of the wrong size or with values outside the vocabulary.
    """
    labels = dataset.vocabulary.labels
    confusion = ConfusionMatrix(len(labels), pairs=pairs)
    chosen = range(len(dataset)) if indices is None else indices
    failures: list[Failure] = []
    track = Track(f"evaluating {name}", shown=progress)
    began = time.perf_counter()
    for index in track(chosen):
        try:
            sample = dataset[index]
        except SampleError as error:
            failures.append(Failure(index=index, problem=str(error)))
            track.say(f"left out: {error}")
            continue
        confusion.update(predict(sample.image), sample.labels)
    report = EvaluationReport(
        method=method,
        dataset=name,
        protocol=protocol,
        labels=tuple(labels),
        seen=None if seen is None else tuple(sorted(seen)),
        images=len(chosen) - len(failures),
        failures=tuple(failures),
        counts=confusion.to_dict(),
        seconds=time.perf_counter() - began,
        provenance=provenance(),
    )
    return _with_images(report) if indices is None else report


def merge_reports(reports: Sequence[EvaluationReport]) -> EvaluationReport:
    """The report of all parts together: counts add up, the slowest part gives the seconds.

    Raises:
        EvaluationError: no report, no image in any, or reports that differ in method, dataset, protocol, classes.
    """
    if not reports:
        raise EvaluationError("no reports to merge; give at least one.")
    first = reports[0]
    for key in ("method", "dataset", "protocol", "labels", "seen"):
        if any(getattr(report, key) != getattr(first, key) for report in reports):
            raise EvaluationError(f"reports differ in {key}; only parts of one evaluation can be merged.")
    confusion = reduce(ConfusionMatrix.__add__, (ConfusionMatrix.from_dict(report.counts) for report in reports))
    merged = first.model_copy(
        update={
            "images": sum(report.images for report in reports),
            "failures": tuple(failure for report in reports for failure in report.failures),
            "counts": confusion.to_dict(),
            "seconds": max(report.seconds for report in reports),
        }
    )
    return _with_images(merged)


def _with_images(report: EvaluationReport) -> EvaluationReport:
    if report.images:
        return report
    problem = f" The first problem: {report.failures[0].problem}" if report.failures else ""
    raise EvaluationError(f"{report.dataset}: none of {len(report.failures)} images could be evaluated.{problem}")
