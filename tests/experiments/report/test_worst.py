"""The worst classes by hand."""

import numpy as np
import pytest

from ahs_seg.evaluation import EvaluationReport
from ahs_seg.experiments.report.worst import worst_classes
from ahs_seg.metrics import ConfusionMatrix, Measures
from tests.support.reports import PROVENANCE


def report(*, pairs: bool = True) -> EvaluationReport:
    """Of 8 cats 6 are right and 2 dogs; of 4 dogs 1 is right, 2 are cats and 1 is a cow; there is no cow."""
    matrix = ConfusionMatrix(3, pairs=pairs)
    labels, guess = [0] * 8 + [1] * 4, [0] * 6 + [1] * 2 + [1, 0, 0, 2]
    matrix.update(np.array([guess]), np.array([labels]))
    return EvaluationReport(
        method="m",
        dataset="d",
        protocol="p",
        labels=("cat", "dog", "cow"),
        seen=("cat",),
        images=1,
        counts=matrix.to_dict(),
        measures=Measures(pairs=pairs),
        seconds=1.0,
        provenance=PROVENANCE,
    )


def test_the_lowest_come_first_with_what_they_are_taken_for() -> None:
    found = worst_classes(report(), 5)
    assert found.title == "d, p"
    assert [row.name for row in found.rows] == ["dog", "cat"]  # a class without ground truth has no IoU
    dog, cat = found.rows
    assert (dog.iou, cat.iou) == pytest.approx((100 / 6, 60))
    assert dog.taken_for == [("cat", 50.0), ("cow", 25.0)]
    assert cat.taken_for == [("dog", 25.0)]
    assert (dog.share, cat.share) == pytest.approx((100 / 3, 200 / 3))
    assert (dog.unseen, cat.unseen) == (True, False)


def test_as_many_as_asked_for() -> None:
    assert [row.name for row in worst_classes(report(), 1).rows] == ["dog"]


def test_without_pairs_the_error_says_what_to_count() -> None:
    with pytest.raises(ValueError, match=r"Measures\(pairs=True\)"):
        worst_classes(report(pairs=False), 3)
