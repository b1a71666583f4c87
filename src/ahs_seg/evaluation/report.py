"""What an evaluation found: counts, the scores that follow from them, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from ahs_seg.config import Config, ConfigError
from ahs_seg.errors import AhsSegError
from ahs_seg.evaluation.protocols import Denominator
from ahs_seg.io.atomic import write_text
from ahs_seg.io.provenance import Provenance
from ahs_seg.metrics import Measures, MetricAccumulator, Scores

_COMPUTED: Final = ("scores", "iou", "boundary_iou", "sg_iou", "headline", "seen_labels", "unseen_labels")
"""Keys of `to_dict` that follow from the others."""

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
"""Scores in the order of tables; `+` divides by classes labelled or predicted."""


class EvaluationError(AhsSegError, ValueError):
    """An evaluation that cannot give a score."""


class Failure(Config):
    """One item that could not be evaluated, and why."""

    index: int
    problem: str


class EvaluationReport(Config):
    """Everything one evaluation found; the scores follow from the counts.

    `protocol` names how pictures were shown and answers merged: scores of different protocols are different numbers.
    `settings` say it in full. `seen` are the class names that training knew, `None` where that has no meaning.
    `seconds` were spent on predicting and counting.
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
        """The counts."""
        return MetricAccumulator.from_dict(self.counts, self.measures)

    @property
    def scores(self) -> Scores:
        """The scores, in [0, 1]."""
        return self.tally.scores(self.labels, seen=self.seen)

    @property
    def headline(self) -> float | None:
        """MIoU as the protocol counts it, in [0, 1]."""
        scores = self.scores
        return scores.miou if self.denominator == "labelled" else scores.miou_with_predicted

    @property
    def seen_labels(self) -> tuple[list[str], list[str]] | None:
        """Labels that are literally names of the training, and the others."""
        if self.seen is None:
            return None
        known = frozenset(self.seen)
        return [name for name in self.labels if name in known], [name for name in self.labels if name not in known]

    def __str__(self) -> str:
        """A few lines for a terminal: what was evaluated and the scores in percent."""
        lines = [f"{self.method} on {self.dataset}: {self.images} images in {self.seconds:.0f} s ({self.protocol})"]
        scores = self.scores.summary()
        lines.append("  ".join(f"{name} {100 * value:.1f}" for name, value in scores.items()))
        lines += [f"left out: {failure.problem}" for failure in self.failures]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values ready for JSON, the scores among them."""
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
        stored = {key: value for key, value in values.items() if key not in _COMPUTED}
        try:
            return cls.parse(stored, source=str(path))
        except ConfigError as error:
            raise EvaluationError(str(error)) from None

    def _per_class(self, values: Sequence[float | None]) -> dict[str, float]:
        return {label: value for label, value in zip(self.labels, values, strict=True) if value is not None}


def merge_reports(reports: Sequence[EvaluationReport]) -> EvaluationReport:
    """The report of all parts together: counts add up, the slowest part gives the seconds.

    Raises:
        EvaluationError: no report, no image in any, or reports that differ in method, dataset, protocol, classes.
    """
    if not reports:
        raise EvaluationError("no reports to merge; give at least one.")
    first = reports[0]
    for key in ("method", "dataset", "protocol", "labels", "seen", "measures"):
        if any(getattr(report, key) != getattr(first, key) for report in reports):
            raise EvaluationError(f"reports differ in {key}; only parts of one evaluation can be merged.")
    tally = first.tally
    for report in reports[1:]:
        tally += report.tally
    failures = sorted((failure for report in reports for failure in report.failures), key=lambda item: item.index)
    merged = first.replace(
        images=sum(report.images for report in reports),
        failures=tuple(failures),
        counts=tally.to_dict(),
        seconds=max(report.seconds for report in reports),
    )
    return with_images(merged)


def with_images(report: EvaluationReport) -> EvaluationReport:
    """The report, if there is anything in it."""
    if report.images:
        return report
    problem = f" The first problem: {report.failures[0].problem}" if report.failures else ""
    raise EvaluationError(f"{report.dataset}: none of {len(report.failures)} images could be evaluated.{problem}")


def score_table(reports: Sequence[EvaluationReport]) -> str:
    """A markdown table with a row per report: data, protocol and the scores in percent; the headline is bold.

    Below it every protocol is said in full.
    """
    scores = [report.scores for report in reports]
    used = [key for key in COLUMNS if any(getattr(one, key) is not None for one in scores)]
    lines = [f"| data | protocol | images | {' | '.join(COLUMNS[key] for key in used)} |"]
    lines.append("|---|---|---:|" + "---:|" * len(used))
    for report, one in zip(reports, scores, strict=True):
        main = "miou" if report.denominator == "labelled" else "miou_with_predicted"
        cells = [_percent(getattr(one, key), bold=key == main) for key in used]
        lines.append(f"| {report.dataset} | {short_name(report)} | {report.images} | {' | '.join(cells)} |")
    full = dict.fromkeys(report.protocol for report in reports if report.protocol != short_name(report))
    return "\n".join([*lines, *([""] if full else []), *(f"- {title}" for title in full)])


def short_name(report: EvaluationReport) -> str:
    """The name of its protocol without the settings."""
    return report.protocol.partition(":")[0]


def _percent(value: float | None, *, bold: bool) -> str:
    if value is None:
        return ""
    return f"**{100 * value:.2f}**" if bold else f"{100 * value:.2f}"
