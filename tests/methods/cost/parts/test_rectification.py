"""Rectifiers: their formulas, their gates at the start, and their losses by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from ahs_seg.methods.cost.parts.rectification import (
    CertaintyRectifier,
    MixingRectification,
    MixingRectifier,
    consistency_loss,
    gate_regulariser,
    perturbed_style,
)
from tests.support.tensors import dense, randn


@torch.no_grad()
def test_rectifiers_are_their_formulas() -> None:
    features = dense(2, 8, 3, 4)
    one = CertaintyRectifier(8, reduction=2)
    gates = one.gates(features)
    pooled = features.mean((2, 3))
    torch.testing.assert_close(gates.channel[:, :, 0, 0], one.channel(pooled).sigmoid())
    uncertainty = F.softplus(one.uncertainty(features))
    gate = gates.channel * gates.spatial / (1 + uncertainty)
    torch.testing.assert_close(one(features), features + 0.5 * (gate * features - features))  # a = sigmoid(0)
    other = MixingRectifier(8, reduction=2)
    gates = other.gates(features)
    mix = 0.5 * (1 - other.uncertainty(pooled).sigmoid())[:, :, None, None]
    torch.testing.assert_close(gates.mix, mix)
    expected = (1 - mix) * features + mix * features * gates.channel * gates.spatial
    torch.testing.assert_close(other(features), expected)


@torch.no_grad()
def test_gates_of_hps_seg_start_open_and_the_uncertainty_undecided() -> None:
    torch.manual_seed(0)
    features = 20 * F.normalize(dense(2, 512, 24, 24), dim=1)  # about as long as those of a trained CLIP
    rectifier = MixingRectifier(512)
    gates = rectifier.gates(features)
    # All biases at 2, as in the published code, give a mix of sigmoid(0) (1 - sigmoid(2)) = 0.06.
    assert gates.mix.mean().item() == pytest.approx(0.25, abs=0.01)
    for gate in (gates.channel, gates.spatial):
        assert gate.mean().item() == pytest.approx(1 / (1 + math.exp(-2)), abs=0.02)
        assert gate.std() < 0.1
    last = rectifier.spatial[-1]
    assert isinstance(last, torch.nn.Conv2d)
    torch.nn.init.kaiming_normal_(last.weight, mode="fan_out")  # the published code: 0 or 1 at random
    gates = rectifier.gates(features)
    assert gates.spatial.std() > 0.3
    assert gates.spatial.min() < 1e-6


@torch.no_grad()
@pytest.mark.parametrize("opening", [-3.0, 5.0])
def test_gates_start_where_they_are_told_to(opening: float) -> None:
    gates = MixingRectification(opening=opening).build(64).gates(torch.zeros(2, 64, 6, 6))
    for gate in (gates.channel, gates.spatial):
        torch.testing.assert_close(gate, torch.full_like(gate, opening).sigmoid())


@pytest.mark.parametrize(("kind", "count"), [(CertaintyRectifier, 99_619), (MixingRectifier, 66_211)])
def test_parameters_of_the_rectifiers_at_both_sizes(
    kind: type[CertaintyRectifier | MixingRectifier], count: int
) -> None:
    assert sum(value.numel() for value in kind(512).parameters()) == count
    larger = {CertaintyRectifier: 223_155, MixingRectifier: 148_467}[kind]
    assert sum(value.numel() for value in kind(768).parameters()) == larger


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


def test_gates_of_an_image_are_regularised_by_themselves() -> None:
    channel = torch.tensor([0.9, 0.1]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    spatial = torch.tensor([0.9, 0.1]).view(2, 1, 1, 1).expand(2, 1, 4, 5)
    alone = [gate_regulariser(channel[[one]], spatial[[one]]) for one in range(2)]
    torch.testing.assert_close(gate_regulariser(channel, spatial), (alone[0] + alone[1]) / 2)
    torch.testing.assert_close(alone[0], torch.tensor(0.1 * (1 - 0.81)))


def test_the_mean_of_a_channel_moves_by_a_share_of_its_spread() -> None:
    dense = randn(2, 3, 5, 7) * torch.tensor([0.5, 3.0, 8.0]).view(1, 3, 1, 1) + 1
    noise = torch.randn(2, 2, 3, 1, 1, generator=torch.Generator().manual_seed(5), dtype=dense.dtype)
    styled = perturbed_style(dense, strength=0.2, generator=torch.Generator().manual_seed(5))
    moved = styled.mean((2, 3)) - dense.mean((2, 3))
    torch.testing.assert_close(moved, 0.2 * dense.std((2, 3), correction=0) * noise[1, :, :, 0, 0])
    spread = styled.std((2, 3), correction=0) / dense.std((2, 3), correction=0)
    torch.testing.assert_close(spread, (0.2 * noise[0, :, :, 0, 0]).exp())
