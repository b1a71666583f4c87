"""HA-HEM: how much of its rotations each layer takes."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from ahs_seg.config import ConfigError
from ahs_seg.tuners.orthogonal import EnergyTerm, Modulation, Orthogonal, Rotations, TowerModulation, energy_loss
from tests.support.builders import random_backbone
from tests.support.hyperspherical import build, lite, view
from tests.support.tensors import randn

MODULATED = Orthogonal(block=8, modulation=Modulation())


def rotations(tuner: Orthogonal) -> Rotations:
    adapter = tuner.apply(random_backbone()).adapter
    assert isinstance(adapter, Rotations)
    with torch.no_grad():
        adapter.bank.add_(torch.randn(adapter.bank.shape, generator=torch.Generator().manual_seed(0)) * 0.2)
    return adapter


def test_starts_at_the_strengths_of_the_publication_with_a_live_gradient() -> None:
    modulation = Modulation().build({"vision": 3, "text": 2})
    torch.testing.assert_close(modulation.vision.strength, torch.full((3,), 0.3 * 0.99))
    torch.testing.assert_close(modulation.text.strength, torch.full((2,), 0.3 * 0.7))
    modulation.vision.beta.backward()
    assert modulation.vision.beta_logit.grad is not None
    # The published start, sigmoid(b) = 1, has a gradient of about 1e-8; 0.99 has 0.99 * 0.01.
    assert modulation.vision.beta_logit.grad.item() == pytest.approx(0.99 * 0.01, rel=1e-4)


@torch.no_grad()
def test_the_identity_stays_exactly_the_identity() -> None:
    adapter = Orthogonal(block=8, modulation=Modulation(alpha=0.37)).apply(random_backbone()).adapter
    assert isinstance(adapter, Rotations)
    for matrices in (adapter.matrices("vision", 3), adapter.matrices("text", 2)):
        assert torch.equal(matrices, torch.eye(8).expand_as(matrices))


@torch.no_grad()
def test_matrices_are_mixed_with_the_identity_layer_by_layer() -> None:
    plain, modulated = rotations(Orthogonal(block=8)), rotations(MODULATED)
    assert modulated.modulation is not None
    modulated.modulation.vision.alpha_logits.copy_(torch.tensor([-1.0, 0.0, 2.0]))
    modulated.modulation.vision.beta_logit.fill_(0.5)
    before, after = plain.matrices("vision", 3), modulated.matrices("vision", 3)
    for layer, logit in enumerate((-1.0, 0.0, 2.0)):
        mu = 1 / (1 + math.exp(-logit)) / (1 + math.exp(-0.5))
        torch.testing.assert_close(after[layer], (1 - mu) * torch.eye(8) + mu * before[layer])


@torch.no_grad()
def test_off_is_h_clip_bit_for_bit() -> None:
    off = rotations(Orthogonal(block=8, modulation=None))
    assert set(off.state_dict()) == {"bank", "layer_relations", "modality_relations"}
    plain = [parts.weights for parts in random_backbone().attention("text")]
    changed = 0
    for one, other, modulated in zip(
        off("text", plain),
        rotations(Orthogonal(block=8))("text", plain),
        rotations(MODULATED)("text", plain),
        strict=True,
    ):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
        changed += sum(not torch.allclose(a, b) for a, b in zip(one, modulated, strict=True))
    assert changed == 2 * 4  # on, every projection of every text layer is another one


def test_settings_are_its_own_scalars_only() -> None:
    modulation = MODULATED.apply(random_backbone()).adapter.modulation
    names = {name for name, _ in modulation.named_parameters()}
    assert names == {f"{tower}.{name}" for tower in ("vision", "text") for name in TowerModulation.NO_DECAY_FULL_LR}


def test_statistics_name_every_layer_and_tower() -> None:
    figures = Modulation().build({"vision": 3, "text": 2}).statistics()
    assert len(figures) == 3 + 2 + 2
    assert figures["alpha/vision/2"] == pytest.approx(0.3)
    assert figures["beta/text"] == pytest.approx(0.7)
    assert figures["beta/vision"] == pytest.approx(0.99)


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


def test_the_gradient_of_the_energy_is_a_difference() -> None:
    matrices = randn(2, 4, 2, 3, 3).requires_grad_()
    alpha = randn(2, seed=1).sigmoid().requires_grad_()
    assert gradcheck(energy_loss, (matrices, alpha))


@torch.no_grad()
def test_the_energy_is_that_of_both_towers_weighted() -> None:
    method = build(lite(tuner=Orthogonal(block=8, modulation=Modulation(energy_weight=0.5))))
    adapter = method.backbone.adapter
    assert isinstance(adapter, Rotations)
    assert adapter.modulation is not None
    adapter.bank.add_(torch.randn_like(adapter.bank) * 0.2)
    towers = [
        (adapter.matrices("vision", 3), adapter.modulation.vision),
        (adapter.matrices("text", 2), adapter.modulation.text),
    ]
    expected = sum(energy_loss(matrices, modulation.alpha) for matrices, modulation in towers)
    term = EnergyTerm()
    (loss,) = term(method.backbone, view(method)).values()
    torch.testing.assert_close(loss, 0.5 * expected)
    assert loss > 0.1
    assert term.statistics(method.backbone)["alpha/text/1"] == pytest.approx(0.3)


@pytest.mark.parametrize("wrong", [{"alpha": 1.0}, {"alpha": 0.0}, {"vision": 1.1}, {"text": 1.1}, {"text": 0.0}])
def test_strengths_are_shares(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Modulation.parse(wrong)
    assert Modulation.parse({"vision": 1.0, "text": 1.0}).vision == 1
