"""What a text row must reach, and the rows that can."""

import pytest
import torch

from ahs_seg.inference.contests import Rivals, best_of_regions, contenders, margin
from ahs_seg.inference.score_maps import View, WholeScores

ROWS = torch.arange(4)
LOWER = torch.tensor([0.1, 0.7, 0.4, 0.6]).reshape(4, 1, 1)


def test_the_bar_is_the_best_lower_bound_less_rounding() -> None:
    for parts in ([(ROWS, LOWER)], [(ROWS[:1], LOWER[:1]), (ROWS[1:], LOWER[1:])]):
        bar = Rivals().bar(parts)
        assert 0.7 - 1e-4 < bar.item() < 0.7
    assert margin(LOWER, 100).min() > margin(LOWER, 1).max()


def test_the_bar_of_several_classes_counts_each_class_once() -> None:
    classes = torch.tensor([0, 1, 1, 2])
    assert Rivals(2, classes).bar([(ROWS, LOWER)]).item() == pytest.approx(0.6, abs=1e-4)
    apart = [(ROWS[:2], LOWER[:2]), (ROWS[2:], LOWER[2:])]
    assert Rivals(3, classes).bar(apart).item() == pytest.approx(0.1, abs=1e-4)
    assert Rivals(4, classes).bar(apart).item() == -torch.inf, "there are three classes"


def test_no_rows_are_an_error() -> None:
    with pytest.raises(ValueError, match="no classes to choose from"):
        Rivals().bar([])


def test_only_rows_that_can_win_are_computed() -> None:
    logits = torch.tensor([[[0.0, 0.0]], [[5.0, -5.0]], [[-5.0, 5.0]], [[-9.0, -9.0]]])
    maps = WholeScores(View(logits, None), torch.sigmoid, (1, 6))
    contested = maps.contested(ROWS, Rivals(), 10**6)
    assert contested[:, 0].tolist() == [True, True, True, False]
    assert [one.row for one in contenders(maps, ROWS, contested, 10**6)] == [0, 1, 2]
    found = best_of_regions(maps, ROWS, 10**6)
    assert found is not None
    assert found[0].tolist() == [[1, 1, 1, 2, 2, 2]]
