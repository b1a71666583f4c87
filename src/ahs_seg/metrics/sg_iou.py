"""SG-IoU: IoU with partial credit for predicting a parent (broader) class of the true class.

Source: SCAN (Liu et al., CVPR 2024), from its released evaluator; the paper's formula was not available to us. With
C[j, k] pixels of class k predicted as j, and P_j all pixels predicted as j:

    weight of parent j for k = (C[j, k] + C[j, j]) / P_j                   purity of the prediction j
    SG-IoU of k = (C[k, k] + sum over j of C[j, k] * weight) / (labelled + predicted - hits)

So an armchair predicted as "chair" earns partial credit, and still counts in the union of "chair". Only pairs of the
table are counted, so that memory grows with the length of the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64

from ahs_seg.metrics.confusion import ConfusionMatrix
from ahs_seg.metrics.parents import ParentTable


@dataclass
class ParentCounts:
    """Pixels predicted as a parent class: `taken[i]` counts pixels of the class of edge i predicted as its parent."""

    table: ParentTable
    taken: Int64[np.ndarray, " e"] = field(init=False)

    def __post_init__(self) -> None:
        edges = self.table.edges
        self.taken = np.zeros(len(edges), np.int64)
        self._edge = {edge: number for number, edge in enumerate(edges)}

    def add(self, pairs: Int64[np.ndarray, "n 3"]) -> None:
        """Add rows of (label, prediction, count); pairs that are not in the table are ignored."""
        for label, predicted, count in pairs.tolist():
            if (number := self._edge.get((label, predicted))) is not None:
                self.taken[number] += count


def semantic_iou(counts: ConfusionMatrix, parents: ParentCounts) -> Float[np.ndarray, " t"]:
    """SG-IoU of every class, in [0, 1]; 0 for classes that occur neither in the labels nor in the prediction."""
    hits = counts.hits.astype(np.float64)
    partly = hits.copy()
    for (narrow, broad), taken in zip(parents.table.edges, parents.taken.tolist(), strict=True):
        predicted = counts.predicted[broad]
        weight = (taken + hits[broad]) / predicted if predicted else 1.0
        partly[narrow] += taken * weight
    union = counts.labelled + counts.predicted - counts.hits
    result: Float[np.ndarray, " t"] = partly / np.maximum(union, 1)
    return result
