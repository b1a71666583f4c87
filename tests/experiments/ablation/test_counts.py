"""Counts of single images, and scores of images drawn again."""

import numpy as np
import pytest

from ahs_seg.experiments.ablation.counts import RunCounts, image_weights, per_class
from ahs_seg.metrics import ConfusionMatrix, Measures, MetricAccumulator, count_image

LABELS = ("sky", "sea", "cat", "dog", "car")


def labelled_images(count: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        labels = rng.integers(-1, 4, (6, 7)).astype(np.int32)  # "car" has no ground truth
        found.append((np.where(rng.random((6, 7)) < 0.6, labels, rng.integers(-1, 5, (6, 7))).astype(np.int32), labels))
    return found


def counts_of(shown: list[tuple[np.ndarray, np.ndarray]]) -> RunCounts:
    each = [per_class(count_image(prediction, labels, 5, boundary=False), 5) for prediction, labels in shown]
    known = np.array([label in ("sky", "cat") for label in LABELS])
    return RunCounts(np.stack(each, 1).astype(np.float32), known)


def test_the_scores_are_those_of_the_evaluation_also_when_images_are_drawn_again() -> None:
    shown = labelled_images(8)
    drawn = [0, 0, 0, 3, 5, 5, 7, 1]
    weights = np.stack([np.ones(8), np.bincount(drawn, minlength=8)]).astype(np.float32)
    found = counts_of(shown).scores(weights)
    for place, chosen in enumerate((range(8), drawn)):
        tally = MetricAccumulator(5, Measures())
        for index in chosen:
            tally.add(count_image(*shown[index], 5, boundary=False))
        wanted = tally.scores(LABELS, seen=("sky", "cat"))
        for metric in ("miou", "seen", "unseen", "harmonic"):
            assert found[metric][place] == pytest.approx(getattr(wanted, metric), rel=1e-6)


def test_counts_of_an_image_by_hand() -> None:
    prediction, labels = np.array([[0, 1, -1, 2]]), np.array([[0, 0, 0, -1]])
    assert per_class(count_image(prediction, labels, 3, boundary=False), 3).tolist() == [
        [3, 0, 0],
        [1, 1, 0],
        [1, 0, 0],
    ]
    assert ConfusionMatrix(3).compare(prediction, labels).tolist() == [[0, -1, 1], [0, 0, 1], [0, 1, 1]]


def test_without_unseen_classes_there_is_no_such_score() -> None:
    all_known = RunCounts(counts_of(labelled_images(3)).counts, np.ones(5, bool))
    found = all_known.scores(np.ones((1, 3), np.float32))
    assert np.isnan(found["unseen"]).all()
    assert np.isnan(found["harmonic"]).all()
    assert found["seen"] == found["miou"]


def test_drawn_images_are_as_many_as_there_are() -> None:
    weights = image_weights(7, 50, np.random.default_rng(0))
    assert weights.shape == (51, 7)
    assert weights[0].tolist() == [1] * 7
    assert (weights.sum(1) == 7).all()
    assert (weights[1:].std(0) > 0).all()
