"""From images to counts, and from counts to scores: kept through JSON, added up, refused where they do not fit."""

import json

import numpy as np
import pytest

from ahs_seg.metrics import Measures, MetricAccumulator, ParentTable, count_image
from ahs_seg.types import IGNORE

TABLE = ParentTable(source="test", parents={1: (0,)})
EVERYTHING = Measures(pairs=True, boundary=True, parents=TABLE)


def image(seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, (6, 7)).astype(np.int32)
    labels[0, :2] = IGNORE
    guess = np.where(draw.random((6, 7)) < 0.7, labels, draw.integers(0, 3, (6, 7))).astype(np.int32)
    return np.maximum(guess, 0), labels


def counted(seeds: range, measures: Measures = EVERYTHING) -> MetricAccumulator:
    total = MetricAccumulator(3, measures)
    for seed in seeds:
        total.add(count_image(*image(seed), 3, boundary=measures.boundary))
    return total


def test_counts_of_an_image_by_hand() -> None:
    labels = np.array([[0, 0, 1], [1, IGNORE, 2]], np.int32)
    guess = np.array([[0, 1, 1], [1, 2, 0]], np.int32)
    found = count_image(guess, labels, 3, boundary=False)
    assert sorted(map(tuple, found.pairs)) == [(0, 0, 1), (0, 1, 1), (1, 1, 2), (2, 0, 1)]
    assert found.boundary is None


def test_scores_of_parts_are_those_of_the_whole() -> None:
    whole, parts = counted(range(6)), counted(range(2))
    parts += counted(range(2, 6))
    assert parts.scores() == whole.scores()
    assert parts.semantic_iou() == whole.semantic_iou()
    assert parts.to_dict() == whole.to_dict()


def test_counts_travel_through_json() -> None:
    before = counted(range(4))
    again = MetricAccumulator.from_dict(json.loads(json.dumps(before.to_dict())), EVERYTHING)
    assert again.scores() == before.scores()
    again.add(count_image(*image(9), 3, boundary=True))  # and can be counted on
    assert again.to_dict() != before.to_dict()


def test_what_was_not_asked_for_is_not_there() -> None:
    plain = counted(range(2), Measures())
    scores = plain.scores()
    assert (scores.boundary_miou, scores.sg_miou, plain.semantic_iou()) == (None, None, None)
    assert set(plain.to_dict()) == {"labelled", "predicted", "hits"}
    assert scores.miou == counted(range(2)).scores().miou


def test_a_class_without_ground_truth_has_no_semantic_iou() -> None:
    total = MetricAccumulator(3, Measures(parents=TABLE))
    total.add(count_image(np.zeros((2, 2), np.int64), np.ones((2, 2), np.int64), 3, boundary=False))
    # Four armchairs called chair: of 4 pixels called chair all are armchairs, so each counts as a whole.
    assert total.semantic_iou() == [None, 1.0, None]


def test_semantic_means_are_over_labelled_classes_and_over_those_that_were_predicted_too() -> None:
    total = MetricAccumulator(3, Measures(parents=TABLE))
    total.add(count_image(np.array([[0, 2, 1, 0]]), np.array([[0, 0, 1, 1]]), 3, boundary=False))
    values = total.semantic_iou()
    assert values is not None
    assert values[2] is None  # predicted, and nowhere labelled
    whole = sum(value for value in values if value is not None)
    scores = total.scores()
    assert scores.sg_miou == pytest.approx(whole / 2)
    assert scores.sg_miou_with_predicted == pytest.approx(whole / 3)


def test_wrong_maps_are_refused() -> None:
    with pytest.raises(ValueError, match="2x2"):
        count_image(np.zeros((2, 2), np.int64), np.zeros((2, 3), np.int64), 3, boundary=False)
    with pytest.raises(ValueError, match=r"0\.\.2"):
        count_image(np.full((2, 2), 3), np.zeros((2, 2), np.int64), 3, boundary=False)
    with pytest.raises(ValueError, match=r"measures\.boundary"):
        MetricAccumulator(3, Measures(boundary=True)).add(count_image(*image(0), 3, boundary=False))


def test_adding_another_process_adds_every_count() -> None:
    one, other = counted(range(2)), counted(range(2, 5))
    before, added = one.to_dict(), other.to_dict()
    one += other
    after = one.to_dict()
    assert {"boundary_hits", "taken"} <= after.keys()
    for name, counts in after.items():
        assert counts == (np.array(before[name]) + np.array(added[name])).tolist(), name
        assert any(np.array(added[name]).flat), name


def test_boundary_iou_is_a_mean_over_classes_with_ground_truth() -> None:
    """A class that is only predicted lowers the IoU of the others and has none of its own."""
    labels = np.zeros((4, 4), np.int32)
    guess = labels.copy()
    guess[0, 0] = 2
    total = MetricAccumulator(3, Measures(boundary=True))
    total.add(count_image(guess, labels, 3, boundary=True))
    # The bands: 12 border pixels of the labels; in the prediction one of them is class 2, and (1, 1) joins.
    assert total.scores().boundary_miou == pytest.approx(11 / 13)
