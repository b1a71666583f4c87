from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ahs_seg.metrics import Measures, MetricAccumulator, ParentTable, count_image

CHAIRS = ParentTable(source="test", parents={1: (0,)})
"""Class 1, armchair, is a kind of class 0, chair; class 2 is a table."""
PIXELS = hnp.arrays(np.int64, (2, 4, 5), elements=st.integers(0, 4))


def tally(prediction: np.ndarray, labels: np.ndarray, table: ParentTable, classes: int) -> MetricAccumulator:
    result = MetricAccumulator(classes, Measures(parents=table))
    result.add(count_image(prediction, labels, classes, boundary=False))
    return result


def textbook(confusion: np.ndarray, table: ParentTable) -> tuple[float, float]:
    """The formula of SCAN's evaluator on the full matrix C[prediction, label]; both denominators."""
    labelled, predicted, hits = confusion.sum(0), confusion.sum(1), np.diag(confusion)
    values = []
    for k in range(len(confusion)):
        partly = float(hits[k])
        for p in table.parents.get(k, ()):
            beta = (confusion[p, k] + hits[p]) / predicted[p] if predicted[p] else 1.0
            partly += confusion[p, k] * beta
        union = labelled[k] + predicted[k] - hits[k]
        values.append(partly / union if union and labelled[k] else 0.0)
    return sum(values) / (labelled > 0).sum(), sum(values) / (labelled + predicted > 0).sum()


def test_worked_out_by_hand():
    # 8 armchair pixels: 4 right, 4 called chair. 4 chair pixels: all right. 4 table pixels: 2 right, 2 called chair.
    labels = np.array([[1] * 8 + [0] * 4 + [2] * 4])
    prediction = np.array([[1] * 4 + [0] * 4 + [0] * 4 + [2] * 2 + [0] * 2])
    result = tally(prediction, labels, CHAIRS, 4)
    weight = (4 + 4) / 10  # of 10 pixels called chair, 4 are armchairs and 4 are chairs
    expected = [4 / 10, (4 + 4 * weight) / 8, 2 / 4]
    assert result.semantic_iou() == [*(pytest.approx(value) for value in expected), None]
    assert result.scores().sg_miou == pytest.approx(sum(expected) / 3)
    assert result.scores().miou == pytest.approx((4 / 10 + 4 / 8 + 2 / 4) / 3)


@given(PIXELS, st.dictionaries(st.integers(0, 4), st.lists(st.integers(0, 4), max_size=2, unique=True), max_size=4))
def test_equals_the_formula_on_the_full_matrix(pixels, parents):
    table = ParentTable(source="test", parents={k: tuple(p for p in v if p != k) for k, v in parents.items()})
    confusion = np.zeros((5, 5), np.int64)
    np.add.at(confusion, (pixels[0].ravel(), pixels[1].ravel()), 1)
    scores = tally(pixels[0], pixels[1], table, 5).scores()
    assert (scores.sg_miou, scores.sg_miou_with_predicted) == pytest.approx(textbook(confusion, table))


@given(PIXELS)
def test_without_broader_classes_it_is_iou(pixels):
    scores = tally(pixels[0], pixels[1], ParentTable(source="none", parents={}), 5).scores()
    assert scores.sg_miou == pytest.approx(scores.miou)
    assert scores.sg_miou_with_predicted == pytest.approx(scores.miou_with_predicted)
