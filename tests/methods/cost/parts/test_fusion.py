"""Multi-head feature pyramid (MH-FPN): levels on a sphere, and the boundary loss."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from ahs_seg.config import ConfigError
from ahs_seg.methods.cost.parts.fusion import FusionConfig, boundary_loss, edges
from ahs_seg.training.memory import TensorBytes
from ahs_seg.types import IGNORE
from tests.support.tensors import randn


def test_default_levels_are_those_of_the_publication() -> None:
    assert FusionConfig().build(64, 32, 12).levels == (3, 7, 11)
    assert FusionConfig().build(64, 32, 24).levels == (7, 15, 23)
    assert FusionConfig().build(64, 32, 1).levels == (0,)


@pytest.mark.parametrize(("levels", "wrong"), [((3, 7, 12), 12), ((-1, 2), -1)])
def test_levels_that_do_not_exist_are_refused(levels: tuple[int, ...], wrong: int) -> None:
    with pytest.raises(ValueError, match=rf"level {wrong} does not exist.*12 vision blocks.*0 to 11.*fusion\.levels"):
        FusionConfig(levels=levels).build(64, 32, 12)
    with pytest.raises(ConfigError, match="levels"):
        FusionConfig.parse({"levels": []})


@torch.no_grad()
@pytest.mark.parametrize("width", [20, 24])
def test_levels_lie_on_a_sphere_and_count_by_their_shares(width: int) -> None:
    torch.manual_seed(0)
    fusion = FusionConfig(levels=(0, 2)).build(24, width, 3).eval()
    levels = [torch.randn(2, width, 4, 5), 100 * torch.randn(2, width, 4, 5)]
    for part, level in zip(fusion.processors, levels, strict=True):
        part.radius.fill_(3.0)
        torch.testing.assert_close(part.on_sphere(level).norm(dim=1), torch.full((2, 4, 5), 3.0))
    torch.testing.assert_close(fusion.shares, torch.full((2,), 0.5))
    fusion.weights.copy_(torch.tensor([40.0, 0.0]))
    alone = fusion.output(fusion.processors[0](levels[0]))
    torch.testing.assert_close(fusion(levels), alone, rtol=1e-4, atol=1e-5)
    assert fusion.statistics() == pytest.approx({"fusion/0": 1.0, "fusion/2": 0.0}, abs=1e-6)


def test_a_residual_fusion_starts_without_effect_and_then_adds() -> None:
    torch.manual_seed(0)
    dense, levels = torch.randn(2, 24, 4, 5), [torch.randn(2, 20, 4, 5) for _ in range(2)]
    residual = FusionConfig(levels=(0, 2), combination="residual").build(24, 20, 3).eval()
    torch.testing.assert_close(residual.joined(dense, levels), dense, rtol=0, atol=0)
    residual.joined(dense, levels).square().sum().backward()
    assert residual.output[-1].weight.grad.abs().max() > 0  # zero is where it starts, not where it stays
    mean = FusionConfig(levels=(0, 2)).build(24, 20, 3).eval()
    residual.load_state_dict(mean.state_dict())
    fused = mean(levels)
    torch.testing.assert_close(mean.joined(dense, levels), (dense + fused) / 2)
    torch.testing.assert_close(residual.joined(dense, levels), dense + fused)


FLAT = -math.log(1e-6)
"""What an edge costs where the prediction is flat."""


def step_labels(side: int = 8) -> torch.Tensor:
    """Class 0 on the left half, class 1 on the right one."""
    return (torch.arange(side) >= side // 2).long().expand(1, side, side)


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
    # Full edges where there should be none cost as much as flat places where there should be edges, and not infinitely.
    assert boundary_loss(perfect, torch.zeros_like(labels)).item() == pytest.approx(FLAT * 0.5 / 1.5, rel=0.05)


def test_boundary_does_not_depend_on_class_numbers_nor_on_absent_classes() -> None:
    logits, labels = randn(1, 2, 8, 8), step_labels()
    wide = torch.full((1, 9, 8, 8), 3.0, dtype=torch.float64)
    wide[:, [2, 7]] = logits
    torch.testing.assert_close(boundary_loss(wide, labels * 5 + 2), boundary_loss(logits, labels))


def test_boundary_leaves_out_pixels_without_a_label() -> None:
    logits, labels = randn(1, 2, 16, 16).requires_grad_(), step_labels(16).clone()
    labels[:, 5:7, 3:9] = IGNORE
    (gradient,) = torch.autograd.grad(boundary_loss(logits, labels), logits)
    assert gradient[:, :, 5:7, 3:9].abs().max() == 0
    assert gradient[:, :, 2:4, 8].abs().min() > 0
    nothing = torch.full_like(labels, IGNORE)
    assert boundary_loss(logits, nothing).item() == 0


def test_each_image_counts_its_own_classes() -> None:
    logits = randn(2, 2, 8, 8)
    labels = torch.cat([step_labels(), torch.full((1, 8, 8), 1)])
    alone = [boundary_loss(logits[:1], labels[:1]), boundary_loss(logits[1:], labels[1:])]
    # Two maps of the first image, one of the second.
    torch.testing.assert_close(boundary_loss(logits, labels), (2 * alone[0] + alone[1]) / 3)


def test_the_gradient_of_the_boundary_loss_is_a_difference() -> None:
    labels = torch.tensor([[[0, 0, 1, 1], [0, 2, 2, 1], [0, 2, IGNORE, 1], [0, 0, 1, 1]]])
    large = labels.repeat_interleave(3, 1).repeat_interleave(3, 2)
    assert gradcheck(lambda logits: boundary_loss(logits, large), randn(1, 3, 12, 12).requires_grad_())


def test_the_boundary_loss_takes_memory_for_present_classes_only() -> None:
    labels = torch.full((2, 32, 32), IGNORE)
    labels[:, 4:, :16], labels[:, 4:, 16:] = 0, 150
    logits = torch.zeros(2, 151, 32, 32)
    with TensorBytes() as counted:
        loss = boundary_loss(logits, labels)
    assert counted.peak < logits.numel()  # a byte for each class and position
    few = boundary_loss(logits[:, :2], torch.where(labels == 150, 1, labels))
    assert loss.item() == few.item() > 0
    assert boundary_loss(logits, torch.full_like(labels, IGNORE)).item() == 0
