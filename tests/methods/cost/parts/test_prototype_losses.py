"""Losses on prototypes by hand; gradients by differences."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.methods.cost.parts.prototype_losses import prototype_contrast, prototype_distance, prototype_loss
from ahs_seg.types import IGNORE
from tests.support.tensors import randn

PROTOTYPES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])

READY = torch.tensor([True, True, False])

HOT, COLD = torch.full((3,), 0.5), torch.tensor([0.5, 0.25, 0.5])


def test_prototype_loss_by_hand() -> None:
    features, rows = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 0, IGNORE, 2])
    # Class 2 has no prototype: its feature does not count and it is nobody's rival. Cosines over 0.5 are 2 and 0.
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(2))) / 2
    assert prototype_loss(features, rows, PROTOTYPES, HOT, READY).item() == pytest.approx(expected, rel=1e-6)
    # With a temperature of 1/4 for class 1 the second feature has the logits 0 and 4.
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(4))) / 2
    assert prototype_loss(features, rows, PROTOTYPES, COLD, READY).item() == pytest.approx(expected, rel=1e-6)


def test_geodesic_losses_by_hand() -> None:
    features, rows = torch.tensor([[1.0, 1.0], [0.0, 5.0], [1.0, 0.0]]), torch.tensor([0, 1, 2])
    distance = prototype_distance(features, rows, PROTOTYPES, READY)
    assert distance.item() == pytest.approx((math.pi / 4 + 0) / 2, abs=1e-6)
    # 1 - d / pi is 3/4 for both classes of the first feature, and 1/2 and 1 for the second one; temperature 1/2.
    expected = (math.log(2) + math.log1p(math.exp(-1))) / 2
    assert prototype_contrast(features, rows, PROTOTYPES, HOT, READY).item() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("rows", [[IGNORE, IGNORE], [2, 2], [2, IGNORE]])
def test_without_a_class_that_counts_the_loss_is_zero_and_on_the_graph(rows: list[int]) -> None:
    features = torch.randn(2, 2, requires_grad=True)
    chosen = torch.tensor(rows)
    losses = [
        prototype_loss(features, chosen, PROTOTYPES, HOT, READY),
        prototype_distance(features, chosen, PROTOTYPES, READY),
        prototype_contrast(features, chosen, PROTOTYPES, HOT, READY),
        prototype_loss(features, chosen, torch.zeros(3, 2), HOT, torch.zeros(3, dtype=torch.bool)),
    ]
    for loss in losses:
        assert loss == 0
        (gradient,) = torch.autograd.grad(loss, features)
        assert not gradient.any()


def test_gradients_of_prototype_losses_are_differences() -> None:
    features, theta = randn(6, 5).requires_grad_(), (randn(4) * 0.1).requires_grad_()
    rows, ready = torch.tensor([0, 1, 2, IGNORE, 3, 1]), torch.tensor([True, True, True, False])
    prototypes = F.normalize(randn(4, 5, seed=1), dim=-1) * ready[:, None]

    def losses(features: Tensor, theta: Tensor) -> tuple[Tensor, ...]:
        temperatures = 0.07 * theta.exp()
        return (
            prototype_loss(features, rows, prototypes, temperatures, ready),
            prototype_distance(features, rows, prototypes, ready),
            prototype_contrast(features, rows, prototypes, temperatures, ready),
        )

    assert torch.autograd.gradcheck(losses, (features, theta))


def test_a_single_class_needs_no_other() -> None:
    features, rows = torch.tensor([[1.0, 1.0], [1.0, 0.0]]), torch.tensor([0, IGNORE])
    distance = prototype_distance(features, rows, PROTOTYPES[:1], READY[:1])
    assert distance.item() == pytest.approx(math.pi / 4, abs=1e-6)
