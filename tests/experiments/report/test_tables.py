"""Scores and classes in the tables of a report."""

from __future__ import annotations

import pytest

from ahs_seg.experiments.report.tables import class_rows, score_groups
from tests.support.reports import NAMES, evaluation


def test_scores_stand_beside_the_baseline_of_the_same_dataset():
    columns, groups = score_groups(
        [evaluation("cat_seg", [10, 5, 5]), evaluation("cat_seg", [9, 9, 9], "other")],
        [evaluation("zero_shot", [5, 5, 5])],
    )
    assert [name for name, _ in columns][:4] == ["mIoU", "seen", "unseen", "harmonic"]
    pixels_right = [name for name, _ in columns].index("pACC")
    world, other = groups
    assert [row.method for row in world.rows] == ["cat_seg", "zero_shot"]
    cell = world.rows[0].cells[pixels_right]
    assert (cell.value, cell.gain, cell.better) == ("66.7", "+16.7", True)
    assert other.rows[0].cells[pixels_right].gain == ""


def test_classes_come_best_first_with_the_baseline():
    rows = class_rows(evaluation("cat_seg", [10, 5, 9]), evaluation("zero_shot", [1, 10, 1]))
    assert [row.name for row in rows][-1] == NAMES[1]
    assert rows[0].iou >= rows[1].iou >= rows[2].iou
    star = rows[-1]
    assert star.unseen
    assert star.accuracy == 50
    assert star.share == pytest.approx(100 / 3)
    assert star.baseline == pytest.approx(100 * 10 / 19)
