"""Tables of a report: scores with differences to the baseline, and scores of every class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ahs_seg.evaluation import EvaluationReport
from ahs_seg.metrics import Scores

COLUMNS: Final = {
    "miou": ("mIoU", "mean IoU over the classes in the ground truth"),
    "seen": ("seen", "mIoU of the classes seen in training"),
    "unseen": ("unseen", "mIoU of the classes not seen in training"),
    "harmonic": ("harmonic", "harmonic mean of seen and unseen"),
    "fwiou": ("fwIoU", "mean IoU weighted by the pixels of each class"),
    "macc": ("mACC", "mean accuracy over the classes in the ground truth"),
    "pacc": ("pACC", "share of correctly labelled pixels"),
    "boundary_miou": ("boundary", "mIoU within bands along class boundaries"),
    "sg_miou": ("SG-IoU", "mIoU with partial credit for parent classes"),
    "miou_with_predicted": ("mIoU+", "mean IoU over the classes in the ground truth or in the predictions"),
}


@dataclass(frozen=True, slots=True)
class TableCell:
    """A score in percent, with its difference to the baseline."""

    value: str
    gain: str = ""
    better: bool = False


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """Scores of one method on one dataset."""

    method: str
    protocol: str
    cells: Sequence[TableCell]
    is_baseline: bool


@dataclass(frozen=True, slots=True)
class ScoreGroup:
    """Score rows of one dataset."""

    dataset: str
    facts: str
    rows: Sequence[ScoreRow]


@dataclass(frozen=True, slots=True)
class ClassRow:
    """Scores of one class of the main evaluation, in percent."""

    name: str
    unseen: bool
    iou: float
    accuracy: float
    share: float
    baseline: float | None


def score_groups(
    evaluations: Sequence[EvaluationReport], baselines: Sequence[EvaluationReport]
) -> tuple[list[tuple[str, str]], list[ScoreGroup]]:
    """Titles and explanations of the columns with any value, and the score rows grouped by dataset."""
    reports = [*evaluations, *baselines]
    scores = {id(report): report.scores for report in reports}
    used = [key for key in COLUMNS if any(getattr(scores[id(report)], key) is not None for report in reports)]
    groups = []
    for dataset in dict.fromkeys(report.dataset for report in reports):
        below = [report for report in baselines if report.dataset == dataset]
        floor = scores[id(below[0])] if below else None
        rows = [
            _row(report, scores[id(report)], used, floor, is_baseline=False)
            for report in evaluations
            if report.dataset == dataset
        ]
        rows += [_row(report, scores[id(report)], used, None, is_baseline=True) for report in below]
        example = next(report for report in reports if report.dataset == dataset)
        found = scores[id(example)].classes_labelled
        facts = f"{example.images} images, {len(example.labels)} classes, {found} of them in the ground truth"
        groups.append(ScoreGroup(dataset, facts, rows))
    return [COLUMNS[key] for key in used], groups


def class_rows(report: EvaluationReport, baseline: EvaluationReport | None) -> list[ClassRow]:
    """One row per class with ground truth, highest IoU first."""
    scores = report.scores
    beside = dict(zip(baseline.labels, baseline.scores.iou, strict=True)) if baseline else {}
    labelled = report.counts["labelled"]
    total = max(1, sum(count for count in labelled if isinstance(count, int)))
    rows = []
    for label, iou, accuracy, count in zip(report.labels, scores.iou, scores.accuracy, labelled, strict=True):
        if iou is None or accuracy is None or not isinstance(count, int):
            continue
        below = beside.get(label)
        unseen = report.seen is not None and label not in report.seen
        rows.append(
            ClassRow(
                label, unseen, 100 * iou, 100 * accuracy, 100 * count / total, None if below is None else 100 * below
            )
        )
    return sorted(rows, key=lambda row: -row.iou)


def _row(
    report: EvaluationReport, scores: Scores, keys: Sequence[str], floor: Scores | None, *, is_baseline: bool
) -> ScoreRow:
    cells = [_cell(getattr(scores, key), None if floor is None else getattr(floor, key)) for key in keys]
    return ScoreRow(report.method, report.protocol, cells, is_baseline)


def _cell(value: float | None, floor: float | None) -> TableCell:
    if value is None:
        return TableCell("–")
    if floor is None:
        return TableCell(f"{100 * value:.1f}")
    gain = 100 * (value - floor)
    return TableCell(f"{100 * value:.1f}", f"{gain:+.1f}".replace("-", "−"), gain > 0)
