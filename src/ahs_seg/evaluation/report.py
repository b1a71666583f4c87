"""Evaluation reports: pixel counts, the scores computed from them, and provenance; merging and tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from ahs_seg.config import Config, ConfigError
from ahs_seg.documents import MAX_LARGE_DOCUMENT_BYTES, DocumentError, read_mapping
from ahs_seg.errors import AhsSegError
from ahs_seg.evaluation.protocols import Denominator
from ahs_seg.io.atomic import write_text
from ahs_seg.io.outside_text import markdown_text
from ahs_seg.io.provenance import Provenance
from ahs_seg.metrics import Measures, MetricAccumulator, Scores

_COMPUTED: Final = ("scores", "iou", "boundary_iou", "sg_iou", "headline", "seen_labels", "unseen_labels")
"""Keys of `to_dict` that are computed from the other keys."""

COLUMNS: Final = {
    "miou": "mIoU",
    "miou_with_predicted": "mIoU+",
    "fwiou": "fwIoU",
    "macc": "mACC",
    "pacc": "pACC",
    "seen": "seen",
    "unseen": "unseen",
    "harmonic": "harmonic",
    "boundary_miou": "boundary",
    "sg_miou": "SG-IoU",
    "sg_miou_with_predicted": "SG-IoU+",
}
"""Score columns in table order; `+`: mean over classes with ground truth or predictions."""


class EvaluationError(AhsSegError, ValueError):
    """An evaluation cannot give a score."""


class Failure(Config):
    """One item that could not be evaluated, with the reason."""

    index: int
    problem: str


class EvaluationReport(Config):
    """Counts, settings and provenance of one evaluation; the scores are computed from the counts.

    `protocol` summarises the inference and prompt settings (scores of different protocols cannot be compared);
    `settings` describes them in full. `seen` are the class names used in training, `None` if unknown. `seconds` is the
    time for predicting and counting.
    """

    method: str
    dataset: str
    protocol: str
    settings: dict[str, str] = Field(default={}, repr=False)
    denominator: Denominator = "labelled"
    labels: tuple[str, ...]
    seen: tuple[str, ...] | None = None
    images: int
    failures: tuple[Failure, ...] = ()
    measures: Measures = Measures()
    counts: dict[str, list[int] | list[list[int]]] = Field(repr=False)
    seconds: float
    provenance: Provenance = Field(repr=False)

    @property
    def tally(self) -> MetricAccumulator:
        """Accumulated pixel counts."""
        return MetricAccumulator.from_dict(self.counts, self.measures)

    @property
    def scores(self) -> Scores:
        """Scores computed from the counts, in [0, 1]."""
        return self.tally.scores(self.labels, seen=self.seen)

    @property
    def headline(self) -> float | None:
        """The mIoU that the protocol defines as its headline score, in [0, 1]."""
        scores = self.scores
        return scores.miou if self.denominator == "labelled" else scores.miou_with_predicted

    @property
    def seen_labels(self) -> tuple[list[str], list[str]] | None:
        """Labels that are exactly a class name used in training, and the other labels; None if `seen` is None."""
        if self.seen is None:
            return None
        known = frozenset(self.seen)
        return [name for name in self.labels if name in known], [name for name in self.labels if name not in known]

    def __str__(self) -> str:
        """Summary for a terminal: method, dataset, protocol, scores in percent and failures."""
        lines = [f"{self.method} on {self.dataset}: {self.images} images in {self.seconds:.0f} s ({self.protocol})"]
        scores = self.scores.summary()
        lines.append("  ".join(f"{name} {100 * value:.1f}" for name, value in scores.items()))
        lines += [f"left out: {failure.problem}" for failure in self.failures]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, including the computed scores."""
        tally, scores = self.tally, self.scores
        values: dict[str, Any] = {
            "scores": {**scores.summary(), "classes_labelled": scores.classes_labelled},
            "headline": self.headline,
            "iou": self._per_class(scores.iou),
        }
        if tally.boundary is not None:
            values["boundary_iou"] = self._per_class(tally.boundary.scores().iou)
        if (finer := tally.semantic_iou()) is not None:
            values["sg_iou"] = self._per_class(finer)
        if self.seen_labels is not None:
            values["seen_labels"], values["unseen_labels"] = self.seen_labels
        return {**values, **self.model_dump(mode="json")}

    def save(self, path: Path | str) -> None:
        """Write the report as JSON, atomically."""
        write_text(Path(path), json.dumps(self.to_dict(), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path | str) -> EvaluationReport:
        """Load a report that `save` wrote; the scores are computed again from the counts."""
        try:
            values = read_mapping(Path(path), limit=MAX_LARGE_DOCUMENT_BYTES)
        except (OSError, DocumentError) as error:
            raise EvaluationError(f"no report: {error}. Give a file that `evaluate` wrote.") from None
        if "counts" not in values:
            raise EvaluationError(f"{path}: holds no report. Give a file that `evaluate` wrote.")
        stored = {key: value for key, value in values.items() if key not in _COMPUTED}
        try:
            return cls.parse(stored, source=str(path))
        except ConfigError as error:
            raise EvaluationError(str(error)) from None

    def _per_class(self, values: Sequence[float | None]) -> dict[str, float]:
        return {label: value for label, value in zip(self.labels, values, strict=True) if value is not None}


def merge_reports(reports: Sequence[EvaluationReport]) -> EvaluationReport:
    """Merge reports of parts of one evaluation: counts are summed, `seconds` is the maximum.

    Raises:
        EvaluationError: there are no reports or no images, or reports differ in method, dataset, protocol or classes.
    """
    if not reports:
        raise EvaluationError("no reports to merge; give at least one.")
    return with_any_images([sum_of_reports(reports)])[0]


def sum_of_reports(reports: Sequence[EvaluationReport]) -> EvaluationReport:
    """Sum of reports as by `merge_reports`, which may have no images.

    Raises:
        EvaluationError: reports differ in method, dataset, protocol or classes.
    """
    first = reports[0]
    for key in ("method", "dataset", "protocol", "labels", "seen", "measures"):
        if any(getattr(report, key) != getattr(first, key) for report in reports):
            raise EvaluationError(f"reports differ in {key}; only parts of one evaluation can be merged.")
    tally = first.tally
    for report in reports[1:]:
        tally += report.tally
    failures = sorted((failure for report in reports for failure in report.failures), key=lambda item: item.index)
    return first.replace(
        images=sum(report.images for report in reports),
        failures=tuple(failures),
        counts=tally.to_dict(),
        seconds=max(report.seconds for report in reports),
    )


def with_any_images(reports: Sequence[EvaluationReport]) -> list[EvaluationReport]:
    """The reports of several protocols, with the failures of those under which no image could be evaluated.

    Raises:
        EvaluationError: no image could be evaluated under any protocol.
    """
    if any(report.images for report in reports):
        return list(reports)
    first = reports[0]
    problem = f" The first problem: {first.failures[0].problem}" if first.failures else ""
    raise EvaluationError(f"{first.dataset}: none of {len(first.failures)} images could be evaluated.{problem}")


def score_table(reports: Sequence[EvaluationReport]) -> str:
    """Markdown table with one row per report: dataset, protocol and scores in percent, the headline in bold.

    Below the table each protocol is described in full.
    """
    scores = [report.scores for report in reports]
    used = [key for key in COLUMNS if any(getattr(one, key) is not None for one in scores)]
    lines = [f"| data | protocol | images | {' | '.join(COLUMNS[key] for key in used)} |"]
    lines.append("|---|---|---:|" + "---:|" * len(used))
    for report, one in zip(reports, scores, strict=True):
        main = "miou" if report.denominator == "labelled" else "miou_with_predicted"
        cells = [_percent(getattr(one, key), bold=key == main) for key in used]
        lines.append(
            f"| {markdown_text(report.dataset)} | {short_name(report)} | {report.images} | {' | '.join(cells)} |"
        )
    full = dict.fromkeys(report.protocol for report in reports if report.protocol != short_name(report))
    return "\n".join([*lines, *([""] if full else []), *(f"- {title}" for title in full)])


def short_name(report: EvaluationReport) -> str:
    """Name of the report's protocol, without its settings."""
    return report.protocol.partition(":")[0]


def _percent(value: float | None, *, bold: bool) -> str:
    if value is None:
        return ""
    return f"**{100 * value:.2f}**" if bold else f"{100 * value:.2f}"
