"""Result tables of a suite: scores as markdown, per-class scores as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from ahs_seg.checkpoints.published import published_for, published_numbers
from ahs_seg.evaluation import EvaluationReport, short_name
from ahs_seg.io.outside_text import csv_text, markdown_text


def suite_table(reports: Sequence[EvaluationReport], protocols: Sequence[str], method: str, dim: int) -> str:
    """Markdown table with one row per benchmark and protocol: measured and published scores, in percent.

    `reports` are ordered by benchmark, then by protocol; `dim` is the dimension of the joint embedding space.
    """
    lines = [
        "| data | protocol | images | mIoU | published | difference | mIoU+ | fwIoU | mACC | pACC | seen | unseen |"
    ]
    lines.append("|---|---|" + "---:|" * 10)
    for number, report in enumerate(reports):
        scores = report.scores
        published = published_for(method, dim, protocols[number % len(protocols)], report.dataset)
        headline = report.headline
        gap = None if published is None or headline is None else 100 * headline - published
        cells = [
            markdown_text(report.dataset),
            short_name(report),
            str(report.images),
            f"**{_percent(scores.miou)}**" if report.denominator == "labelled" else _percent(scores.miou),
            "" if published is None else f"{published:.1f}",
            "" if gap is None else f"{gap:+.1f}",
            _percent(scores.miou_with_predicted),
            *(_percent(value) for value in (scores.fwiou, scores.macc, scores.pacc, scores.seen, scores.unseen)),
        ]
        if report.denominator != "labelled":
            cells[6] = f"**{cells[6]}**"
        lines.append(f"| {' | '.join(cells)} |")
    notes = [
        "mIoU: mean over classes with ground truth; mIoU+: with ground truth or predictions. Bold: the protocol's own."
    ]
    notes += dict.fromkeys(f"Protocol {report.protocol}." for report in reports)
    used = {entry.source for entry in published_numbers() if (entry.method, entry.dim) == (method, dim)}
    notes += [f"Published: {source}." for source in sorted(used)]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)])


def class_table(report: EvaluationReport) -> str:
    """CSV table with one line per class: pixel counts, and scores in [0, 1], empty where undefined."""
    tally, scores = report.tally, report.scores
    columns: dict[str, Sequence[object]] = {
        "class": [csv_text(label) for label in report.labels],
        "seen": [""] * len(report.labels) if report.seen is None else [int(n in report.seen) for n in report.labels],
        "labelled": tally.confusion.labelled.tolist(),
        "predicted": tally.confusion.predicted.tolist(),
        "hits": tally.confusion.hits.tolist(),
        "iou": scores.iou,
        "accuracy": scores.accuracy,
    }
    if tally.boundary is not None:
        columns["boundary_iou"] = tally.boundary.scores().iou
    if (finer := tally.semantic_iou()) is not None:
        columns["sg_iou"] = finer
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return buffer.getvalue()


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"
