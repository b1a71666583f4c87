"""The classes with the lowest IoU, with the classes that are predicted instead."""

from __future__ import annotations

import numpy as np

from ahs_seg.evaluation import EvaluationError, EvaluationReport
from ahs_seg.experiments.report.content import WorstClass, WorstClasses

CONFUSIONS = 4
"""Number of confused classes listed per row."""


def worst_classes(report: EvaluationReport, count: int) -> WorstClasses:
    """The `count` classes with the lowest IoU among those with ground truth; ties go to more pixels.

    Raises:
        EvaluationError: the report has no full confusion matrix.
    """
    confusion, scores = report.tally.confusion, report.scores
    if confusion.pairs is None:
        raise EvaluationError("the report has no full confusion matrix; evaluate with Measures(pairs=True)")
    present = [(iou, index) for index, iou in enumerate(scores.iou) if iou is not None]
    present.sort(key=lambda item: (item[0], -confusion.labelled[item[1]]))
    total = max(1, int(confusion.labelled.sum()))
    rows = []
    for iou, index in present[:count]:
        taken = confusion.pairs[index].astype(np.float64) / confusion.labelled[index]
        taken[index] = 0
        others = [int(other) for other in np.argsort(-taken, kind="stable")[:CONFUSIONS] if taken[other] > 0]
        rows.append(
            WorstClass(
                name=report.labels[index],
                unseen=report.seen is not None and report.labels[index] not in report.seen,
                iou=100 * iou,
                share=100 * float(confusion.labelled[index]) / total,
                taken_for=[(report.labels[other], 100 * float(taken[other])) for other in others],
            )
        )
    return WorstClasses(f"{report.dataset}, {report.protocol}", rows)
