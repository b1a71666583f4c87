from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import accuracy_score, jaccard_score

from ahs_seg.metrics import ConfusionMatrix, harmonic_mean
from ahs_seg.types import IGNORE

LABELS = np.array([[0, 0, 0, 1], [1, 1, IGNORE, 2]])
GUESS = np.array([[0, 0, 1, 1], [1, 3, 0, 0]])
"""Class 0: 3 labelled, 3 predicted, 2 hits. 1: 3, 3, 2. 2: 1, 0, 0. 3: only predicted, once. 4: nowhere."""


def counted(
    prediction: np.ndarray | torch.Tensor, labels: np.ndarray | torch.Tensor, classes: int = 5, *, pairs: bool = False
) -> ConfusionMatrix:
    matrix = ConfusionMatrix(classes, pairs=pairs)
    matrix.update(prediction, labels)
    return matrix


def test_scores_worked_out_by_hand():
    scores = counted(GUESS, LABELS).scores()
    assert scores.iou == pytest.approx((2 / 4, 2 / 4, 0, None, None))
    assert scores.accuracy == pytest.approx((2 / 3, 2 / 3, 0, None, None))
    assert scores.miou == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert scores.miou_with_predicted == pytest.approx((0.5 + 0.5 + 0 + 0) / 4)
    assert scores.fwiou == pytest.approx((3 * 0.5 + 3 * 0.5) / 7)
    assert scores.macc == pytest.approx((2 / 3 + 2 / 3) / 3)
    assert scores.pacc == pytest.approx(4 / 7)
    assert (scores.classes_labelled, scores.classes_labelled_or_predicted) == (3, 4)
    assert scores.seen is scores.unseen is scores.harmonic is None
    assert scores.summary().keys() == {"miou", "miou_with_predicted", "fwiou", "macc", "pacc"}


def test_seen_and_unseen_by_exact_name():
    names = ["sky", "road", "car", "Sky", "pole"]
    scores = counted(GUESS, LABELS).scores(names, seen={"sky", "car", "zebra"})
    assert scores.seen == pytest.approx((0.5 + 0) / 2)
    assert scores.unseen == pytest.approx(0.5)
    assert scores.harmonic == pytest.approx(2 * 0.25 * 0.5 / 0.75)
    all_seen = counted(GUESS, LABELS).scores(names, seen=names)
    assert all_seen.seen == all_seen.miou
    assert all_seen.unseen is all_seen.harmonic is None
    with pytest.raises(ValueError, match="2 labels for 5 classes"):
        counted(GUESS, LABELS).scores(["a", "b"], seen={"a"})


@pytest.mark.parametrize(("pair", "mean"), [((0.2, 0.3), 0.24), ((0.0, 0.0), 0.0), ((None, 0.5), None)])
def test_harmonic_mean(pair, mean):
    assert harmonic_mean(*pair) == (None if mean is None else pytest.approx(mean))


def test_a_pixel_predicted_as_no_class_is_a_miss():
    scores = counted(np.array([[0, IGNORE]]), np.array([[0, 0]]), 2).scores()
    assert scores.iou[0] == scores.accuracy[0] == scores.pacc == 0.5


def test_nothing_counted_defines_nothing():
    scores = counted(np.array([[1]]), np.array([[IGNORE]])).scores()
    assert scores.miou is scores.fwiou is scores.macc is scores.pacc is None
    assert scores.summary() == {}


def test_pairs_show_what_is_taken_for_what():
    matrix = counted(GUESS, LABELS, pairs=True)
    expected = np.zeros((5, 5), int)
    for label, guess in [(0, 0), (0, 0), (0, 1), (1, 1), (1, 1), (1, 3), (2, 0)]:
        expected[label, guess] += 1
    assert matrix.pairs is not None
    assert np.array_equal(matrix.pairs, expected)
    assert np.array_equal(np.diag(matrix.pairs), matrix.hits)


def test_counts_do_not_overflow_32_bits():
    matrix = counted(GUESS, LABELS)
    for _ in range(31):
        matrix = matrix + matrix
    assert matrix.labelled[0] == 3 * 2**31
    assert matrix.scores() == counted(GUESS, LABELS).scores()


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.int64])
def test_any_integer_type_and_tensors(kind):
    labels = np.where(LABELS == IGNORE, 0, LABELS)
    reference = counted(GUESS, labels)
    assert counted(GUESS.astype(kind), labels.astype(kind)) == reference
    assert counted(torch.from_numpy(GUESS), torch.from_numpy(labels)) == reference


def test_wrong_input_says_given_allowed_remedy():
    with pytest.raises(ValueError, match=r"prediction is 3x2, labels are 4x2; .* Resize the prediction"):
        counted(GUESS[:, :3], LABELS)
    with pytest.raises(ValueError, match=r"labels have values 0\.\.255; allowed are 0\.\.4 and -1"):
        counted(GUESS, np.where(LABELS == IGNORE, 255, LABELS))
    with pytest.raises(ValueError, match=r"prediction have values 0\.\.3; allowed are 0\.\.2"):
        counted(GUESS, LABELS, 3)
    with pytest.raises(ValueError, match="5 and 6 classes"):
        counted(GUESS, LABELS) + ConfusionMatrix(6)
    with pytest.raises(ValueError, match="at least 1"):
        ConfusionMatrix(0)
    assert len(ConfusionMatrix(1)) == 1


def maps(classes: int = 6, lowest: int = 0) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.int64, (4, 9), elements=st.integers(lowest, classes - 1))


@given(guess=maps(), labels=maps(lowest=IGNORE))
def test_agrees_with_scikit_learn_where_it_defines_the_same(guess, labels):
    scores = counted(guess, labels, 6).scores()
    target, prediction = labels[labels != IGNORE], guess[labels != IGNORE]
    if scores.classes_labelled:
        assert scores.pacc == pytest.approx(accuracy_score(target, prediction), abs=1e-6)
        jaccard = jaccard_score(target, prediction, labels=range(6), average=None, zero_division=0)
        assert {k: iou for k, iou in enumerate(scores.iou) if iou is not None} == pytest.approx(
            {k: jaccard[k] for k in range(6) if k in target}, abs=1e-6
        )
        weighted = jaccard_score(target, prediction, labels=range(6), average="weighted", zero_division=0)
        assert scores.fwiou == pytest.approx(weighted, abs=1e-6)


@given(guess=maps(), labels=maps(lowest=IGNORE), cut=st.integers(0, 4), data=st.data())
def test_merging_parts_in_any_order_is_counting_the_whole(guess, labels, cut, data):
    whole = counted(guess, labels, 6, pairs=True)
    first, rest = counted(guess[:cut], labels[:cut], 6, pairs=True), counted(guess[cut:], labels[cut:], 6, pairs=True)
    assert first + rest == whole == rest + first
    rows = data.draw(st.permutations(range(4)))
    assert counted(guess[rows], labels[rows], 6, pairs=True) == whole


@given(guess=maps(), labels=maps(lowest=IGNORE), order=st.permutations(range(6)))
def test_renaming_the_classes_renames_the_scores(guess, labels, order):
    rename = np.array([*order, IGNORE])
    before, after = counted(guess, labels, 6).scores(), counted(rename[guess], rename[labels], 6).scores()
    assert [after.iou[new] for new in order] == list(before.iou)
    for name, value in before.summary().items():
        assert after.summary()[name] == pytest.approx(value)


@given(guess=maps(), labels=maps(lowest=IGNORE), pairs=st.booleans())
def test_json_keeps_everything(guess, labels, pairs):
    matrix = counted(guess, labels, 6, pairs=pairs)
    assert ConfusionMatrix.from_dict(json.loads(json.dumps(matrix.to_dict()))) == matrix


@given(labels=maps(lowest=IGNORE))
def test_a_perfect_prediction_scores_one(labels):
    scores = counted(np.where(labels == IGNORE, 3, labels), labels, 6).scores()
    assert all(value == 1 for value in scores.summary().values())
