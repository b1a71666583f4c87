"""The classes with the lowest IoU, and what their pixels are taken for."""

from __future__ import annotations

import numpy as np

from ahs_seg.evaluation import EvaluationError, EvaluationReport
from ahs_seg.experiments.report.content import WorstClass, WorstClasses

CONFUSIONS = 4
"""Classes that a row names."""


def worst_classes(report: EvaluationReport, count: int) -> WorstClasses:
    """The `count` classes with ground truth and the lowest IoU; of equals those with more pixels.

    Raises:
        EvaluationError: pairs of label and prediction were not counted.
    """
    confusion, scores = report.tally.confusion, report.scores
    if confusion.pairs is None:
        raise EvaluationError("what classes are taken for was not counted; evaluate with Measures(pairs=True)")
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
