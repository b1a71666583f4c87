"""The losses of AHS-Seg: values worked out by hand, and gradients against finite differences."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from ahs_seg.methods.cost.parts.fusion import boundary_loss, edges
from ahs_seg.methods.cost.parts.projection import contrastive_loss, hierarchy_loss, relation_margins
from ahs_seg.modules.resize import nearest_labels
from ahs_seg.tuners.orthogonal import energy_loss
from ahs_seg.types import IGNORE

FLAT = -math.log(1e-6)
"""What an edge costs where the prediction is flat."""


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def step_labels(side: int = 8) -> torch.Tensor:
    """Class 0 on the left half, class 1 on the right one."""
    return (torch.arange(side) >= side // 2).long().expand(1, side, side)


def rotation(angle: float) -> torch.Tensor:
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)


def test_energy_of_modulated_rotations() -> None:
    """mu^2 (1 - mu)^2 ||2I - R - R^T||^2 is 2 (2 - 2 cos)^2 mu^2 (1 - mu)^2 for a rotation of the plane."""
    mu, angles = torch.tensor([0.2, 0.6], dtype=torch.float64), (0.5, 1.5)
    matrices = torch.stack([(1 - m) * rotation(0) + m * rotation(a) for m, a in zip(mu, angles, strict=True)])
    alpha = torch.tensor([0.3, 0.7], dtype=torch.float64)
    each = [2 * (2 - 2 * math.cos(a)) ** 2 * (m * (1 - m)) ** 2 for m, a in zip(mu.tolist(), angles, strict=True)]
    expected = 1.0 * each[0] + 0.3 * each[1] - 0.1 * 0.08 + 0.05 * 0.16
    ours = energy_loss(matrices[:, None, None].expand(2, 4, 3, 2, 2), alpha)
    assert ours.item() == pytest.approx(expected, rel=1e-9)


def test_energy_is_zero_for_pure_rotations_and_equal_strengths() -> None:
    matrices = torch.stack([rotation(0.3), rotation(2.0)])[:, None, None]
    assert energy_loss(matrices, torch.full((2,), 0.3, dtype=torch.float64)).item() == pytest.approx(0, abs=1e-12)
    assert energy_loss(2 * matrices[:1], torch.tensor([0.3])).item() == pytest.approx(2 * 9)  # ||4I - I||^2


def test_edges_of_a_full_step_are_one_and_of_a_flat_map_nothing() -> None:
    step = step_labels().double()
    expected = torch.zeros(1, 8, 8, dtype=torch.float64)
    expected[..., 3:5] = 1
    torch.testing.assert_close(edges(step), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(edges(step / 2), expected / 2, atol=1e-6, rtol=0)
    torch.testing.assert_close(edges(step.mT), expected.mT, atol=1e-6, rtol=0)


def test_boundary_of_a_flat_prediction_and_of_a_perfect_one() -> None:
    labels = step_labels()
    flat = torch.zeros(1, 3, 8, 8)
    # A quarter of the columns are edges at full resolution, half of them at half: (1/4 + 1/2 * 1/2) / 1.5.
    assert boundary_loss(flat, labels).item() == pytest.approx(FLAT * 0.5 / 1.5, rel=1e-5)
    perfect = torch.stack([1 - labels, labels, torch.zeros_like(labels)], 1) * 200.0 - 100
    assert boundary_loss(perfect, labels).item() < 1e-5


def test_boundary_does_not_depend_on_class_numbers_nor_on_absent_classes() -> None:
    logits, labels = draw(1, 2, 8, 8), step_labels()
    wide = torch.full((1, 9, 8, 8), 3.0, dtype=torch.float64)
    wide[:, [2, 7]] = logits
    torch.testing.assert_close(boundary_loss(wide, labels * 5 + 2), boundary_loss(logits, labels))


def test_boundary_leaves_out_pixels_without_a_label() -> None:
    logits, labels = draw(1, 2, 16, 16).requires_grad_(), step_labels(16).clone()
    labels[:, 5:7, 3:9] = IGNORE
    (gradient,) = torch.autograd.grad(boundary_loss(logits, labels), logits)
    assert gradient[:, :, 5:7, 3:9].abs().max() == 0
    assert gradient[:, :, 2:4, 8].abs().min() > 0
    nothing = torch.full_like(labels, IGNORE)
    assert boundary_loss(logits, nothing).item() == 0


def test_each_image_counts_its_own_classes() -> None:
    logits = draw(2, 2, 8, 8)
    labels = torch.cat([step_labels(), torch.full((1, 8, 8), 1)])
    alone = [boundary_loss(logits[:1], labels[:1]), boundary_loss(logits[1:], labels[1:])]
    # Two maps of the first image, one of the second.
    torch.testing.assert_close(boundary_loss(logits, labels), (2 * alone[0] + alone[1]) / 3)


def test_contrastive_by_hand() -> None:
    """Means e1 and (e1 + e2)/sqrt 2 against words e1 and e2, temperature 0.1; the ignored cell has no part."""
    features = torch.zeros(1, 2, 2, 2)
    features[0, 0] = torch.tensor([[3.0, 1.0], [0.0, -5.0]])
    features[0, 1] = torch.tensor([[0.0, 0.0], [2.0, -5.0]])
    labels = torch.tensor([[[4, 1], [1, IGNORE]]])
    text = torch.zeros(5, 2)
    text[4], text[1] = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 1.0])
    diagonal = math.log(2)  # the mean of class 1 is as near to both
    expected = (math.log1p(math.exp(-10)) + diagonal) / 2
    assert contrastive_loss(features, labels, text).item() == pytest.approx(expected, rel=1e-5)


def test_contrastive_of_one_class_is_zero() -> None:
    labels = torch.tensor([[[1, 1], [IGNORE, 1]]])
    assert contrastive_loss(torch.randn(1, 2, 2, 2), labels, torch.randn(3, 2)).item() == 0


def test_labels_are_those_of_nearest_neighbour_resizing() -> None:
    labels = torch.randint(-1, 9, (2, 13, 20))
    expected = torch.nn.functional.interpolate(labels[:, None].float(), size=(4, 6), mode="nearest")[:, 0].long()
    assert torch.equal(nearest_labels(labels, (4, 6)), expected)


def test_margins_follow_super_categories() -> None:
    labels = ["cat", "wall-other", "dog", "wall-brick", "odd", "wall-stone"]
    margins = relation_margins(labels, ["animal", "wall", "animal", "wall", None, "wall"])
    expected = torch.zeros(6, 6)
    expected[0, 2] = expected[3, 5] = 0.5
    expected[1, 3] = expected[1, 5] = 0.3
    assert torch.equal(margins, expected + expected.T)


def test_hierarchy_by_hand() -> None:
    text = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 3.0]])
    margins = torch.tensor([[0.0, 0.5, 0.3], [0.5, 0.0, 0.0], [0.3, 0.0, 0.0]])
    expected = (abs(1 - 0.5) + abs(1 - math.sqrt(0.5) - 0.3)) / 2
    assert hierarchy_loss(text, margins).item() == pytest.approx(expected, rel=1e-5)
    assert hierarchy_loss(text, torch.zeros(3, 3)).item() == 0


def test_gradients_are_those_of_finite_differences() -> None:
    labels = torch.tensor([[[0, 0, 1, 1], [0, 2, 2, 1], [0, 2, IGNORE, 1], [0, 0, 1, 1]]])
    large = labels.repeat_interleave(3, 1).repeat_interleave(3, 2)
    matrices = draw(2, 4, 2, 3, 3).requires_grad_()
    alpha = draw(2, seed=1).sigmoid().requires_grad_()
    assert gradcheck(energy_loss, (matrices, alpha))
    assert gradcheck(lambda logits: boundary_loss(logits, large), draw(1, 3, 12, 12).requires_grad_())
    features, text = draw(1, 5, 4, 4).requires_grad_(), draw(3, 5, seed=2).requires_grad_()
    assert gradcheck(lambda f, t: contrastive_loss(f, labels, t), (features, text))
    margins = relation_margins(["a", "b", "c"], ["x", "x", "x"]).double()
    assert gradcheck(lambda t: hierarchy_loss(t, margins), text)
