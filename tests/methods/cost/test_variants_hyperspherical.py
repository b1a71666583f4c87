"""HPS-Seg and AHS-Seg's simple design: what they are without their parts, what each part changes, what folds away."""

from typing import Any

import pytest
import torch

from ahs_seg.methods import HClipConfig
from ahs_seg.methods.cost.parts.prototypes import PrototypeBank
from ahs_seg.training.optim import parameter_groups
from ahs_seg.training.recipe import OptimizerConfig
from tests.support.hyperspherical import (
    FULL,
    ROTATED,
    SWITCHES,
    Built,
    build,
    embed,
    hps,
    lite,
    objective,
    train,
    trained,
    view,
)
from tests.support.small_methods import SMALL, inputs

ALL = SWITCHES | FULL
OWN = {
    "lite prototypes": {"parts.prototypes"},
    "lite distillation": set(),
    "lite rectification": {"parts.rectifier"},
    "lite geodesic": {"head.similarity"},
    "hps hpa": {"parts.aligner", "parts.prototypes"},
    "hps afr": {"parts.rectifier"},
}
LOSSES = {
    "lite prototypes": {"prototypes"},
    "lite distillation": {"distillation"},
    "lite rectification": {"consistency"},
    "lite geodesic": set(),
    "hps hpa": {"prototype_distance", "prototype_contrast"},
    "hps afr": {"gates"},
}
FIGURES = {
    "prototypes": "prototypes/seen",
    "distillation": "teacher/distance",
    "consistency": "gates/channel",
    "prototype_distance": "prototypes/temperature_mean",
    "gates": "gates/mix",
}


@torch.no_grad()
@pytest.mark.parametrize("config", [lite(), hps()], ids=["lite", "hps"])
def test_all_off_is_h_clip_bit_for_bit(config: Built) -> None:
    plain = HClipConfig(cost=SMALL, tuner=ROTATED)
    one, other = build(plain), build(config)
    images, text = inputs(5)
    assert torch.equal(one(images, text).logits, other(images, text).logits)
    assert list(one.state_dict()) == list(other.state_dict())
    assert [set(objective(each, one)(one, view(one))) for each in (plain, config)] == [{"segmentation"}] * 2


@pytest.mark.parametrize("part", SWITCHES)
def test_each_part_changes_what_is_trained_and_what_is_predicted(part: str) -> None:
    plain, _ = trained(hps())
    method, _ = trained(SWITCHES[part])
    before = dict(build(SWITCHES[part]).named_parameters())
    own = {name for name in before if name not in dict(plain.named_parameters())}
    assert {".".join(name.split(".")[:2]) for name in own} == OWN[part]
    after, shared = dict(method.named_parameters()), dict(plain.named_parameters())
    assert not own or any(not torch.equal(before[name], after[name]) for name in own)
    assert not torch.allclose(shared["backbone.adapter.bank"], after["backbone.adapter.bank"], rtol=0, atol=1e-8)
    images, text = inputs(5)
    with torch.no_grad():
        difference = (plain(images, text).logits - method(images, text).logits).abs().max()
    assert difference > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("part", [part for part in SWITCHES if part != "lite distillation"])
def test_parts_of_the_prediction_act_before_any_training(part: str) -> None:
    method, plain = build(SWITCHES[part]), build(hps())
    if isinstance(bank := method.parts.prototypes, PrototypeBank):
        bank.start(embed(method))
    images, text = inputs(5)
    assert (method(images, text).logits - plain(images, text).logits).abs().max() > 1e-4


@pytest.mark.parametrize("config", ALL.values(), ids=list(ALL))
def test_every_trained_parameter_gets_a_gradient_and_nothing_else_changes(config: Built) -> None:
    start = build(config)
    before = {name: value.clone() for name, value in start.state_dict().items()}
    method, gradients = trained(config)
    wanted = {name for name, p in method.named_parameters() if p.requires_grad}
    for step in gradients:
        assert set(step) == wanted  # so that DDP needs no search for unused parameters
    assert {name for step in gradients for name, size in step.items() if size > 0} == wanted
    changed = {name for name, value in method.state_dict().items() if not torch.equal(value, before[name])}
    assert changed <= wanted | {"parts.prototypes.prototypes", "parts.prototypes.seen"}


@pytest.mark.parametrize("part", SWITCHES)
def test_losses_and_figures_are_those_of_the_parts(part: str) -> None:
    method, terms, _ = train(SWITCHES[part], 2)
    values = terms(method, view(method))
    assert set(values) == {"segmentation", *LOSSES[part]}
    assert all(values[name] > 0 for name in LOSSES[part])
    figures = terms.statistics(method)
    assert {FIGURES[name] for name in LOSSES[part] if name in FIGURES} <= set(figures)
    assert bool(figures) == bool(LOSSES[part])
    if "prototypes/seen" in figures:
        assert figures["prototypes/seen"] == 1


@torch.no_grad()
@pytest.mark.parametrize("config", FULL.values(), ids=list(FULL))
def test_merged_is_a_plain_clip_and_prepared_words_give_the_same(config: Built) -> None:
    with torch.enable_grad():
        method, _, _ = train(config)
    twin = method.for_inference()
    assert twin.backbone.adapter is None
    images, text = inputs(7)  # words that training never had
    torch.testing.assert_close(twin(images, text).logits, method(images, text).logits, rtol=1e-4, atol=1e-5)
    words = twin.prepare(text)
    expected = twin(images, text).logits
    bank = twin.parts.prototypes
    assert isinstance(bank, PrototypeBank)
    bank.prototypes.zero_()  # prepared words need the prototypes no more
    assert torch.equal(twin(images, words).logits, expected)


def test_scalars_are_trained_without_decay() -> None:
    for config in FULL.values():
        groups: Any = parameter_groups(build(config), OptimizerConfig(lr=2e-4, weight_decay=1e-4))
        decay = {name: group["weight_decay"] for group in groups for name in group["names"]}
        free = {name for name, value in decay.items() if value == 0 and not name.startswith("head.layers")}
        assert {"parts.prototypes.theta", "parts.rectifier.mix_logit"} <= free
        assert decay["parts.rectifier.channel.0.weight"] == 1e-4
    groups = parameter_groups(build(FULL["lite"]), OptimizerConfig())
    free = {name for group in groups for name in group["names"] if group["weight_decay"] == 0}
    assert "head.similarity.raw_curvature" in free
