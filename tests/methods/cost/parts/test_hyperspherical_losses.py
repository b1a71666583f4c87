"""Losses of prototypes, self-distillation and rectification: values worked out by hand, gradients by differences."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.methods.cost.parts.distillation import distillation_loss, distillation_schedule
from ahs_seg.methods.cost.parts.prototypes import prototype_contrast, prototype_distance, prototype_loss
from ahs_seg.methods.cost.parts.rectification import consistency_loss, gate_regulariser, perturbed_style
from ahs_seg.modules.geodesic import angle_of_cosine, geodesic_distance
from ahs_seg.types import IGNORE

PROTOTYPES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
READY = torch.tensor([True, True, False])
HOT, COLD = torch.full((3,), 0.5), torch.tensor([0.5, 0.25, 0.5])


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_angles_by_hand() -> None:
    one = torch.tensor([[1.0, 0.0]] * 4)
    other = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [math.cos(0.3), math.sin(0.3)]])
    torch.testing.assert_close(
        geodesic_distance(one, other), torch.tensor([0.0, math.pi / 2, math.pi, 0.3]), rtol=1e-6, atol=3e-6
    )
    cosines = torch.tensor([1.0, 0.5, 0.0, -1.0, 1 + 1e-6])
    torch.testing.assert_close(
        angle_of_cosine(cosines), torch.tensor([0.0, math.pi / 3, math.pi / 2, math.pi, 0.0]), rtol=1e-6, atol=1e-3
    )


def test_small_angles_are_exact_where_the_published_code_has_a_floor() -> None:
    angle = 1e-4
    one, other = torch.tensor([1.0, 0.0]), torch.tensor([math.cos(angle), math.sin(angle)]).requires_grad_()
    ours = geodesic_distance(one, other)
    assert ours.item() == pytest.approx(angle, rel=1e-3)
    (gradient,) = torch.autograd.grad(ours, other)
    assert gradient.norm().item() == pytest.approx(1, rel=1e-2)
    published = torch.acos((one * other).sum().clamp(-1 + 1e-7, 1 - 1e-7))
    assert published.item() == pytest.approx(4.88e-4, rel=0.01)  # the old value: the floor of the clamp
    assert not torch.autograd.grad(published, other)[0].any()


@pytest.mark.parametrize("offset", [0.0, 1e-8, 1e-3, 1.0, math.pi - 1e-4, math.pi])
def test_gradients_of_angles_stay_finite(offset: float) -> None:
    one = torch.tensor([1.0, 0.0, 0.0])
    other = torch.tensor([math.cos(offset), math.sin(offset), 0.0]).requires_grad_()
    (exact,) = torch.autograd.grad(geodesic_distance(one, F.normalize(other, dim=0)), other)
    (rough,) = torch.autograd.grad(angle_of_cosine(one @ F.normalize(other, dim=0)), other)
    assert exact.norm() <= 1.01
    assert rough.norm() <= 1.01


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


def test_distillation_by_hand() -> None:
    student = torch.tensor([[2.0, 0.0], [0.0, 3.0]]).T.reshape(1, 2, 1, 2)  # two places: (2, 0) and (0, 3)
    teacher = torch.tensor([[1.0, 1.0], [0.0, 1.0]]).T.reshape(1, 2, 1, 2)
    assert distillation_loss(student, teacher).item() == pytest.approx(math.pi / 8, abs=1e-6)
    assert distillation_loss(student, 7 * student).item() == pytest.approx(0, abs=1e-5)


def test_gradient_of_the_distillation_is_a_difference() -> None:
    student, teacher = randn(2, 4, 2, 3).requires_grad_(), randn(2, 4, 2, 3, seed=1)
    assert torch.autograd.gradcheck(lambda student: distillation_loss(student, teacher), (student,))


def test_the_schedule_of_the_distillation() -> None:
    assert [distillation_schedule(progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx([0.5, 0.3, 0.1])
    assert distillation_schedule(0.25, initial=1.0, final=0.0) == pytest.approx(0.5 + 0.25 * math.sqrt(2))


def test_perturbed_style_changes_mean_and_spread_of_each_channel_alone() -> None:
    dense = randn(2, 3, 5, 7) * 2 + 1
    styled = perturbed_style(dense, strength=0.1, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(styled, dense, atol=1e-2)
    shape = [(part - part.mean((2, 3), keepdim=True)) for part in (dense, styled)]
    factors = shape[1] / shape[0]
    torch.testing.assert_close(factors, factors[:, :, :1, :1].expand_as(factors))  # one factor for each channel
    assert factors[:, :, 0, 0].unique().numel() == 6
    torch.testing.assert_close(perturbed_style(dense, strength=0.0), dense)
    flat = torch.ones(1, 2, 3, 3, requires_grad=True)  # a channel without spread has a gradient too
    (gradient,) = torch.autograd.grad(perturbed_style(flat).sum(), flat)
    assert gradient.isfinite().all()


def test_consistency_by_hand() -> None:
    one = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).T.reshape(1, 2, 1, 2)
    other = torch.tensor([[1.0, 1.0], [0.0, 9.0]]).T.reshape(1, 2, 1, 2)
    assert consistency_loss(one, other).item() == pytest.approx((1 - math.sqrt(0.5)) / 2, abs=1e-6)
    pair = randn(2, 4, 2, 3).requires_grad_(), randn(2, 4, 2, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(consistency_loss, pair)


def test_gate_regulariser_by_hand() -> None:
    channel = torch.tensor([0.5, 1.0]).reshape(1, 2, 1, 1)
    spatial = torch.tensor([[1.0, 0.6], [0.8, 0.8]]).reshape(1, 1, 2, 2)
    # 1 - mean of all products: 1 - 0.75 * 0.8. Vertical steps 0.2, 0.2; horizontal steps 0.4, 0.
    assert gate_regulariser(channel, spatial).item() == pytest.approx(0.1 * 0.4 + 0.01 * (0.2 + 0.2), rel=1e-6)
    assert gate_regulariser(channel, spatial, open_weight=1.0, smooth_weight=0.0).item() == pytest.approx(0.4)
    everything = 0.1 * (1 - (channel * spatial)).mean()  # the formula with all products written out
    assert gate_regulariser(channel, spatial, smooth_weight=0.0).item() == pytest.approx(everything.item(), rel=1e-6)
    gates = randn(2, 3, 1, 1).sigmoid().requires_grad_(), randn(2, 1, 4, 3, seed=1).sigmoid().requires_grad_()
    assert torch.autograd.gradcheck(gate_regulariser, gates)
    assert gate_regulariser(torch.ones(1, 2, 1, 1), torch.ones(1, 1, 1, 1)) == 0
