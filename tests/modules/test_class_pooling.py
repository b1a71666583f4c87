"""Rows of a vocabulary brought together by class, against values worked out by hand."""

import torch

from ahs_seg.modules.class_pooling import class_embeddings, class_logits_of_rows, max_of_rows, mean_of_rows, sum_of_rows
from ahs_seg.types import ClassText


def test_rows_of_a_class_are_added_in_any_order() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 3.0]])
    assert sum_of_rows(rows, torch.tensor([1, 0, 1, 0]), 3).tolist() == [[0, 4], [4, 0], [0, 0]]


def test_the_mean_of_rows_is_a_unit_vector() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 0.0]])
    means = mean_of_rows(rows, torch.tensor([0, 0, 1]), 2)
    torch.testing.assert_close(means, torch.tensor([[0.5**0.5, 0.5**0.5], [1.0, 0.0]]))


def test_every_prompt_of_a_row_has_the_same_weight() -> None:
    prompts = torch.tensor([[[9.0, 0.0], [0.0, 1.0]]])
    torch.testing.assert_close(class_embeddings(ClassText(prompts, prompts)), torch.tensor([[0.5**0.5, 0.5**0.5]]))
    prompts = torch.tensor([[[3.0, 4.0], [6.0, 8.0], [0.0, 2.0]], [[1.0, 0.0], [5.0, 0.0], [-1.0, 0.0]]])
    means = torch.tensor([[1.2, 2.6], [1.0, 0.0]])  # of (0.6, 0.8) twice and (0, 1); of (1, 0) twice and (-1, 0)
    expected = means / means.norm(dim=1, keepdim=True)
    torch.testing.assert_close(class_embeddings(ClassText(prompts, prompts)), expected)


def test_a_class_has_the_score_of_its_best_row_along_any_axis() -> None:
    scores, owner = torch.tensor([[-1.0, -5.0, 2.0, 3.0]]), torch.tensor([0, 0, 1, 2])
    assert max_of_rows(scores, owner, 3, dim=1).tolist() == [[-1, 2, 3]]
    planes = scores[:, :, None, None].expand(1, 4, 2, 2)
    assert max_of_rows(planes, owner, 3, dim=1)[0, :, 1, 1].tolist() == [-1, 2, 3]


def test_what_stands_for_no_class_is_kept() -> None:
    logits = torch.tensor([[[1.0, 5.0, 2.0, 3.0, 0.5]]])
    assert class_logits_of_rows(logits, torch.tensor([0, 0, 1, 2]), 3).tolist() == [[[5.0, 2.0, 3.0, 0.5]]]


def test_the_best_of_three_rows_may_be_any_of_them() -> None:
    owners = torch.tensor([0, 0, 0, 1])
    for best in range(3):
        scores = torch.zeros(4, 2).index_fill(0, torch.tensor([best]), 5)
        assert max_of_rows(scores, owners, 2, dim=0).tolist() == [[5, 5], [0, 0]]
