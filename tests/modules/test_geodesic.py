"""Angles between directions, also where the arccosine is not accurate."""

import math

import pytest
import torch
import torch.nn.functional as F

from ahs_seg.modules.geodesic import angle_of_cosine, geodesic_distance


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


def test_the_floor_of_the_angle_of_a_cosine_is_twice_the_root_of_a_rounding_error() -> None:
    assert geodesic_distance(torch.ones(1), torch.ones(1)).item() == pytest.approx(1e-6, rel=1e-3)  # 2 sqrt(1e-12) / 2
    floor = angle_of_cosine(torch.tensor(1.0)).item()
    assert floor == pytest.approx(2 * math.atan(math.sqrt(torch.finfo(torch.float32).eps)), rel=1e-4)
