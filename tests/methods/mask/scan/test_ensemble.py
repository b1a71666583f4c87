"""SCAN's calibrated ensemble."""

import math
from typing import Literal

import pytest
import torch

from ahs_seg.methods.mask.scan.ensemble import combine, crop_probabilities

INSIDE = torch.tensor([[0.2, 0.6], [0.01, 0.04]])
VOID = 1 - INSIDE.sum(1)
OUTSIDE = torch.tensor([[0.9, 0.1], [1.0, 1.0]])


def test_the_product_is_a_weighted_geometric_mean() -> None:
    scores = combine(INSIDE, VOID, OUTSIDE, weight=0.75, combination="product")
    assert math.isclose(scores[0, 0].item(), 0.2**0.25 * 0.9**0.75, rel_tol=1e-6)
    torch.testing.assert_close(scores[1], INSIDE[1] ** 0.25)  # a proposal without a crop counts for itself


def test_the_ends_of_the_weight_are_the_two_sides() -> None:
    assert torch.equal(combine(INSIDE, VOID, OUTSIDE, weight=0.0, combination="product"), INSIDE)
    assert torch.equal(combine(INSIDE, VOID, OUTSIDE, weight=1.0, combination="product"), OUTSIDE)


def test_the_log_branch_leaves_void_its_share() -> None:
    scores = combine(INSIDE, VOID, OUTSIDE, weight=0.5, combination="log")
    product = [math.sqrt(0.2 * 0.9), math.sqrt(0.6 * 0.1)]
    for found, value in zip(scores[0].tolist(), product, strict=True):
        assert math.isclose(found, value / sum(product) * 0.8, rel_tol=1e-5)
    torch.testing.assert_close(scores.sum(1), 1 - VOID, atol=1e-6, rtol=0)


@pytest.mark.parametrize("combination", ["product", "log"])
def test_impossible_classes_stay_finite(combination: Literal["product", "log"]) -> None:
    zero = torch.zeros(1, 2)
    scores = combine(zero, torch.ones(1), zero, weight=0.7, combination=combination)
    assert scores.isfinite().all()
    assert scores.max() < 1e-6


def test_masks_without_a_crop_are_left_to_the_proposals_or_to_no_class() -> None:
    similarity, valid = torch.tensor([[0.0, math.log(3)], [5.0, 1.0]]), torch.tensor([True, False])
    one = crop_probabilities(similarity, valid, "one")
    torch.testing.assert_close(one, torch.tensor([[0.25, 0.75], [1.0, 1.0]]))
    torch.testing.assert_close(crop_probabilities(similarity, valid, "uniform")[1], torch.tensor([0.5, 0.5]))
