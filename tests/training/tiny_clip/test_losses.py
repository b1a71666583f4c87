import math

import pytest
import torch

from ahs_seg.training.tiny_clip.losses import Said, matching_loss, patch_loss, pool, strongest, word_loss

COMPATIBLE = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]], dtype=torch.bool)
"""Phrases 0 and 3 may mean the same."""


def test_alternatives_leave_out_what_may_also_be_true():
    said = Said.of(torch.tensor([[0, 1], [2, -1]]), COMPATIBLE)
    assert said.own.tolist() == [[True, True, False, False], [False, False, True, False]]
    assert said.fair.tolist() == [[True, True, True, False], [True, True, True, True]]


def test_a_patch_may_be_any_of_the_things_said_of_its_part():
    said = Said.of(torch.tensor([[0, 1]]), COMPATIBLE)
    logits = torch.tensor([[[2.0, 0.0, 1.0, 9.0], [50.0, 50.0, 50.0, 50.0]]])
    part = torch.tensor([[0, -1]])
    wanted = -math.log((math.e**2 + 1) / (math.e**2 + 1 + math.e))
    assert patch_loss(logits, part, said).item() == pytest.approx(wanted, rel=1e-5)


def test_pooling_is_a_mean_that_leans_to_the_best_patch_of_each_part():
    similarity = torch.tensor([[[0.0], [1.0], [0.5]], [[0.3], [0.2], [0.2]]])
    part = torch.tensor([[0, 0, 1], [-1, 2, 2]])
    pooled = pool(similarity, part, 3)
    leaning = math.exp(10) / (1 + math.exp(10))
    torch.testing.assert_close(pooled, torch.tensor([[leaning], [0.5], [0.2]]))


def test_pooling_copes_with_an_image_without_parts():
    pooled = pool(torch.ones(2, 2, 1), torch.tensor([[-1, -1], [0, 0]]), 1)
    torch.testing.assert_close(pooled, torch.ones(1, 1))


def test_matching_worked_out_by_hand():
    """Two parts, each with its own phrase, all logits 0 but one."""
    said = Said.of(torch.tensor([[1], [2]]), torch.eye(3, dtype=torch.bool))
    logits = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    naming = (math.log(math.e**2 + 2) - 2 + math.log(3)) / 2
    finding = (math.log(math.e**2 + 1) - 2 + math.log(2)) / 2
    assert matching_loss(logits, said).item() == pytest.approx(naming + finding, rel=1e-5)


def test_other_things_said_of_the_same_part_are_not_held_against_a_phrase():
    said = Said.of(torch.tensor([[0, 1]]), torch.eye(2, dtype=torch.bool))
    assert matching_loss(torch.tensor([[3.0, -8.0]]), said).item() == pytest.approx(0.0)


def test_strongest_takes_each_channel_where_it_is_largest():
    features = torch.tensor([[[1.0, 5.0], [2.0, 4.0], [9.0, 9.0]]])
    assert strongest(features, torch.tensor([[0, 0, -1]]), 1).tolist() == [[2.0, 5.0]]


def test_words_not_said_do_not_count():
    logits = torch.tensor([[0.0, 0.0, 7.0, -7.0, 1.0]])
    loss = word_loss(logits, torch.tensor([[1, -1]]), (2, 3))
    assert loss.item() == pytest.approx(math.log(2))
