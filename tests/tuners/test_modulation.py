"""HA-HEM: how much of its rotations each layer takes."""

import math

import pytest
import torch

from ahs_seg.tuners.orthogonal import Modulation, Orthogonal, Rotations, TowerModulation
from tests.support.builders import random_backbone

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
    for tower, depth in (("vision", 3), ("text", 2)):
        matrices = adapter.matrices(tower, depth)
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
    modulation = MODULATED.apply(random_backbone()).adapter.modulation  # type: ignore[union-attr]
    names = {name for name, _ in modulation.named_parameters()}
    assert names == {f"{tower}.{name}" for tower in ("vision", "text") for name in TowerModulation.NO_DECAY_FULL_LR}


def test_statistics_name_every_layer_and_tower() -> None:
    figures = Modulation().build({"vision": 3, "text": 2}).statistics()
    assert len(figures) == 3 + 2 + 2
    assert figures["alpha/vision/2"] == pytest.approx(0.3)
    assert figures["beta/text"] == pytest.approx(0.7)
    assert figures["beta/vision"] == pytest.approx(0.99)
