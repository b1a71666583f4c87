"""Building blocks of HPS-Seg and of AHS-Seg's simple design beside the recorded ones.

Where they differ on purpose, the old and the new value. The recorded HPA of HPS-Seg is in `test_hpsseg.py`.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.checkpoints.importing.convert_hps_seg import certainty_rules, mixing_rules
from ahs_seg.checkpoints.importing.key_rules import convert
from ahs_seg.methods.cost.parts.distillation import distillation_schedule
from ahs_seg.methods.cost.parts.prototype_losses import prototype_loss
from ahs_seg.methods.cost.parts.prototypes import PrototypeBank, adaptive_momentum
from ahs_seg.methods.cost.parts.rectification import CertaintyRectifier, MixingRectifier, gate_regulariser
from ahs_seg.modules.geodesic import geodesic_distance
from tests.parity.modules import array, blocks, close, drawn, figure, weights


@pytest.fixture(scope="module")
def features() -> Tensor:
    return drawn("feat", 2, 512, 24, 24)


@pytest.fixture(scope="module")
def certainty() -> CertaintyRectifier:
    built = CertaintyRectifier(512)
    built.load_state_dict(convert(weights("min.afr"), certainty_rules("", "")).state)
    return built


@pytest.fixture(scope="module")
def mixing() -> MixingRectifier:
    built = MixingRectifier(512)
    built.load_state_dict(convert(weights("hps.afr"), mixing_rules("", "")).state)
    return built


@torch.no_grad()
def test_rectification_of_the_simple_design(certainty: CertaintyRectifier, features: Tensor) -> None:
    close("min.afr.out", certainty(features), 1, 32, 4, 4)
    close("min.afr.uncertainty", F.softplus(certainty.uncertainty(features))[:, 0], 1, 2, 2)


@torch.no_grad()
def test_rectification_of_hps_seg(mixing: MixingRectifier, features: Tensor) -> None:
    close("hps.afr.out", mixing(features), 1, 32, 4, 4)


@torch.no_grad()
def test_an_entropy_over_everything_says_nothing(mixing: MixingRectifier, features: Tensor) -> None:
    """The original mixes it into the uncertainty if it is given similarities, which its model never does."""
    gates = mixing.gates(features)
    shares = drawn("corr", 2, 20, 24, 24, scale=0.05).flatten(1).softmax(1)
    entropy = -(shares * (shares + 1e-8).log()).sum(1) / math.log(shares.shape[1])
    assert entropy.min() > 0.9998  # whatever the image shows
    certainty = 1 - ((1 - gates.certainty) + entropy.view(2, 1, 1, 1)) / 2
    mix = mixing.mix_logit.sigmoid() * certainty
    old = (1 - mix) * features + mix * (features * gates.channel * gates.spatial)
    close("hps.afr.out_with_correlation", old, 1, 32, 4, 4)
    recorded = array("hps.afr.out")
    assert (recorded - array("hps.afr.out_with_correlation")).abs().max() > 0.1  # it halves the mix


@torch.no_grad()
def test_gates_are_kept_open_where_the_original_pulls_them_to_one_half(
    mixing: MixingRectifier, features: Tensor
) -> None:
    gates = mixing.gates(features)
    variation = sum(gates.spatial.diff(dim=axis).abs().mean() for axis in (2, 3))
    old = 0.1 * (gates.channel * gates.spatial - 0.5).abs().mean() + 0.01 * variation
    assert old.item() == pytest.approx(figure("hps.afr.loss"), rel=1e-6)
    assert old.item() == pytest.approx(0.0295450, rel=1e-5)
    assert gate_regulariser(gates.channel, gates.spatial).item() == pytest.approx(0.0795451, rel=1e-5)
    shut, half, wide = (torch.full((1, 1, 1, 1), value) for value in (0.0, 0.5, 1.0))
    ones = torch.ones(1, 1, 1, 1)
    assert gate_regulariser(wide, ones) < gate_regulariser(half, ones) < gate_regulariser(shut, ones)


def test_prototype_loss_and_its_gradients(features: Tensor) -> None:
    given = weights("min.hpa")
    temperatures = given["class_temperature"].requires_grad_()
    x = features.clone().requires_grad_()
    rows = blocks("labels", 2, 24, 24, classes=171).flatten()
    ready = torch.ones(171, dtype=torch.bool)
    clamped = temperatures.clamp(0.01, 1)
    loss = prototype_loss(x.movedim(1, -1).flatten(0, 2), rows, given["prototypes"], clamped, ready)
    assert loss.item() == pytest.approx(figure("min.hpa.loss"), rel=1e-6)
    loss.backward()
    assert x.grad is not None
    assert temperatures.grad is not None
    assert x.grad.norm().item() == pytest.approx(figure("min.hpa.grad_x_norm"), rel=1e-4)
    assert temperatures.grad.norm().item() == pytest.approx(figure("min.hpa.grad_temperature_norm"), rel=1e-4)


@torch.no_grad()
def test_momentum_is_a_constant_where_the_original_lets_it_grow() -> None:
    """Old: min(0.99 + 0.09 (1 - 1 / (1 + n / 1000)), 0.999), at its limit after 112 pixels of a class."""

    def old(pixels: int) -> float:
        return min(0.99 + 0.09 * (1 - 1 / (1 + pixels / 1000)), 0.999)

    assert [old(0), old(50), old(112)] == pytest.approx([0.99, 0.9942857, 0.999], abs=1e-4)
    bank = PrototypeBank(2, 1)
    start = torch.tensor([[1.0, 0.0]])
    bank.update(*bank.sums(start, torch.tensor([0])))
    up = torch.tensor([[0.0, 1.0]])
    for _ in range(3):
        bank.update(*bank.sums(up, torch.tensor([0])))
    counts = torch.tensor([0.0, 50.0, 112.0, 1e6])
    torch.testing.assert_close(adaptive_momentum(0.99, counts), torch.tensor([old(int(count)) for count in counts]))
    assert torch.atan2(bank.prototypes[0, 1], bank.prototypes[0, 0]).item() == pytest.approx(3 * 0.0101, abs=3e-4)


@torch.no_grad()
def test_words_are_guided_with_the_prototypes_of_the_original() -> None:
    """Recorded after two updates with its growing momentum, which move prototypes by less than a hundredth."""
    bank = PrototypeBank(512, 171, temperature=0.07, guidance=0.1)
    bank.prototypes.copy_(weights("min.hpa")["prototypes"])
    guided = bank.guide(drawn("text", 20, 512).unsqueeze(1))[:, 0]
    close("min.hpa.guided_text", guided, 1, 16, tolerance=2e-3)
    words = F.normalize(drawn("text", 20, 512), dim=-1)[:, ::16]
    assert (array("min.hpa.guided_text") - words).abs().max() > 10 * 2e-3 * words.abs().max()


def test_distillation_starts_large_where_the_original_starts_at_zero() -> None:
    recorded = {int(step): value for step, value in figure("min.sdr.weight_at_iter").items()}
    assert (recorded[0], recorded[1000], recorded[5000]) == pytest.approx((0.0, 0.1, 0.5))
    ours = {step: distillation_schedule(step / 80_000) for step in recorded}
    assert (ours[0], ours[1000], ours[5000]) == pytest.approx((0.5, 0.4998458, 0.4961571), abs=1e-6)
    assert ours[80_000] == pytest.approx(recorded[80_000])
    warmed = {step: distillation_schedule(step / 80_000, warmup=5000 / 80_000) for step in recorded if step <= 80_000}
    assert warmed == pytest.approx({step: recorded[step] for step in warmed}, abs=1e-9)


@torch.no_grad()
def test_distance_of_equal_features_is_zero_where_the_original_has_a_floor(features: Tensor) -> None:
    one, other = (
        F.normalize(part.movedim(1, -1), dim=-1)
        for part in (features, features + drawn("feat2", 2, 512, 24, 24, scale=0.5))
    )
    assert geodesic_distance(one, other).mean().item() == pytest.approx(figure("min.sdr.mean_geodesic_x_x2"), rel=1e-5)
    assert figure("min.sdr.mean_geodesic_x_x") == pytest.approx(5.96e-4, rel=0.01)
    assert geodesic_distance(one, one).mean() < 2e-6
