import pytest
import torch
import torch.nn.functional as F

from ahs_seg.inference.contests import Rivals
from ahs_seg.inference.score_maps import View, WholeScores, best_rows, candidates
from ahs_seg.types import PRUNED_LOGIT
from tests.support.score_maps import Fixed, LargestTensor


@pytest.mark.parametrize("rows_at_a_time", [1, 2, 3, 7, 100])
def test_labels_are_those_of_argmax(rows_at_a_time):
    maps = torch.rand(13, 9, 11)
    rows, scores = best_rows(Fixed(maps), torch.arange(13), memory_bytes=rows_at_a_time * maps[0].nbytes)
    assert torch.equal(rows, maps.argmax(0).int())
    assert torch.equal(scores, maps.amax(0))


@pytest.mark.parametrize("rows_at_a_time", [1, 2, 3, 100])
def test_the_first_of_equals_wins(rows_at_a_time):
    maps = torch.randint(0, 3, (13, 20, 20)).float()
    rows, _ = best_rows(Fixed(maps), torch.arange(13), memory_bytes=rows_at_a_time * maps[0].nbytes)
    assert torch.equal(rows, (maps == maps.amax(0)).int().argmax(0).int())


def test_memory_does_not_grow_with_the_classes():
    size, grid = (120, 160), (6, 8)
    largest = {}
    for classes in (10, 400):
        view = View(torch.randn(classes, *grid), None)
        maps = WholeScores(view, torch.sigmoid, size)
        with LargestTensor() as watch:
            rows, _ = best_rows(maps, candidates([view], classes), memory_bytes=5 * maps.row_bytes)
        largest[classes] = watch.largest
        everything = F.interpolate(view.logits.sigmoid()[None], size, mode="bilinear")[0]
        assert torch.equal(rows, everything.argmax(0).int())
    assert largest[400] == largest[10] == size[0] * size[1]


def test_a_view_gives_rest_to_rows_it_did_not_keep():
    view = View(torch.arange(3.0)[:, None, None].expand(3, 1, 2), torch.tensor([7, 2, 4]))
    rows = torch.tensor([0, 2, 4, 7])
    expected = torch.tensor([PRUNED_LOGIT, 1.0, 2.0, 0.0])[:, None, None].expand(4, 1, 2)
    assert torch.equal(view.of(rows), expected)


def test_candidates():
    maps = torch.zeros(2, 1, 1)
    views = [View(maps, torch.tensor([5, 1])), View(maps, torch.tensor([1, 0]))]
    assert candidates(views, 8).tolist() == [0, 1, 2, 5]
    assert candidates(views, 6).tolist() == [0, 1, 2, 5]
    assert candidates([View(maps, torch.tensor([1, 0]))], 2).tolist() == [0, 1]
    assert candidates([*views, View(torch.zeros(8, 1, 1), None)], 8).tolist() == list(range(8))


def test_rows_that_no_view_kept_win_where_the_kept_are_worse():
    """A kept row may score less than `PRUNED_LOGIT`; then the first row that was not kept is the argmax."""
    view = View(torch.tensor([[[-200.0, 1.0]]]), torch.tensor([1]))
    rows, _ = best_rows(WholeScores(view, torch.exp, (1, 2)), candidates([view], 4), memory_bytes=1)
    assert rows.tolist() == [[0, 1]]


def test_half_precision_logits_are_scored_in_float32():
    view = View(torch.randn(3, 4, 4).bfloat16(), None)
    _, scores = best_rows(WholeScores(view, torch.sigmoid, (8, 8)), torch.arange(3), memory_bytes=1)
    assert scores.dtype == torch.float32


@pytest.mark.parametrize("grid", [(6, 8), (1, 9), (7, 1), (1, 1), (2, 9), (7, 2), (40, 40)])
@pytest.mark.parametrize("size", [(33, 57), (6, 8), (3, 3), (1, 1)])
@pytest.mark.parametrize("memory_bytes", [1, 10**9])
def test_rows_left_out_would_not_have_won(grid, size, memory_bytes):
    coarse = torch.randn(1, 60, max(1, grid[0] // 3), max(1, grid[1] // 3))
    view = View(F.interpolate(coarse, grid, mode="bilinear")[0] + 2 * torch.randn(60, 1, 1), None)
    maps, rows = WholeScores(view, torch.sigmoid, size), torch.arange(60)
    contested = maps.contested(rows, Rivals(), memory_bytes)
    assert contested.any(1).sum() < 60
    everything = F.interpolate(view.logits.sigmoid()[None], size, mode="bilinear")[0]
    labels, scores = best_rows(maps, rows, memory_bytes=10**6)
    assert torch.equal(labels, everything.argmax(0).int())
    assert torch.equal(scores, maps(rows).amax(0))


@pytest.mark.parametrize("across", [False, True])
def test_a_grid_of_two_has_a_winner_on_either_side(across):
    halves = torch.tensor([[5.0, -5.0], [-5.0, 5.0], [-9.0, -9.0]])
    logits = halves[:, None].expand(3, 6, 2) if across else halves[:, :, None].expand(3, 2, 6)
    labels, _ = best_rows(WholeScores(View(logits, None), torch.sigmoid, (8, 8)), torch.arange(3), memory_bytes=10**6)
    along = labels if across else labels.T
    assert along.tolist() == [[0] * 4 + [1] * 4] * 8


def test_equals_are_all_kept():
    maps = WholeScores(View(torch.zeros(5, 4, 4), None), torch.sigmoid, (9, 9))
    assert maps.contested(torch.arange(5), Rivals(), 10**6).all()


@pytest.mark.parametrize("rows_at_once", [1, 7, 60])
def test_rows_are_compared_as_many_at_a_time_as_the_memory_holds(monkeypatch, rows_at_once):
    """Six grids for each row: their scores, and the lowest and highest ones of the cells while they are made."""
    maps = WholeScores(View(torch.randn(60, 8, 9), None), torch.sigmoid, (20, 20))
    counts = []
    coarse = WholeScores.coarse

    def counted(self, rows):
        counts.append(len(rows))
        return coarse(self, rows)

    monkeypatch.setattr(WholeScores, "coarse", counted)
    maps.contested(torch.arange(60), Rivals(), rows_at_once * 6 * 4 * 8 * 9)
    assert max(counts) == rows_at_once
