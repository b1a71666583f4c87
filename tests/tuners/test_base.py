"""A tuner of one's own: what it adds is merged, what it loses is trained."""

from typing import Literal

import torch
from torch import nn

from ahs_seg.backbones.base import AttentionWeights, Backbone, Tower
from ahs_seg.methods import CatSegConfig
from ahs_seg.methods.cost.config import CostMethodConfig
from ahs_seg.tuners.base import TunerConfig, freeze
from tests.support.builders import random_backbone
from tests.support.small_methods import SMALL


class Scales(nn.Module):
    """Value matrices times a learned factor."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, tower: Tower, plain: list[AttentionWeights]) -> list[AttentionWeights]:
        del tower
        return [weights._replace(value=weights.value * self.factor) for weights in plain]


class Scaling(TunerConfig):
    name: Literal["scaling"] = "scaling"

    def apply(self, backbone: Backbone) -> Backbone:
        freeze(backbone)
        backbone.adapter = Scales()
        return backbone

    def merge(self, backbone: Backbone) -> Backbone:
        with torch.no_grad():
            for tower in ("vision", "text"):
                for parts, weights in zip(backbone.attention(tower), backbone.attention_weights(tower), strict=True):
                    parts.value.weight.copy_(weights.value)
        backbone.adapter = None
        return backbone


class ScalingConfig(CostMethodConfig):
    name: Literal["scaled"] = "scaled"
    tuner: Scaling = Scaling()


def test_what_an_own_tuner_added_is_merged() -> None:
    method = ScalingConfig(cost=SMALL).compose(random_backbone())
    with torch.no_grad():
        method.backbone.adapter.factor.fill_(1.5)
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    text = torch.randn(3, 1, 24, generator=torch.Generator().manual_seed(1))
    merged = method.for_inference()
    assert merged.backbone.adapter is None
    assert method.backbone.adapter is not None
    torch.testing.assert_close(merged(images, text).logits, method.eval()(images, text).logits, rtol=1e-4, atol=1e-5)


def test_a_tuner_without_an_addition_merges_to_the_same_weights() -> None:
    method = CatSegConfig(cost=SMALL).compose(random_backbone())
    merged = method.for_inference()
    for one, other in zip(merged.parameters(), method.parameters(), strict=True):
        assert torch.equal(one, other)


class Biases(TunerConfig):
    """Only biases train."""

    def apply(self, backbone: Backbone) -> Backbone:
        for name, parameter in freeze(backbone).named_parameters():
            parameter.requires_grad_(name.endswith(".bias"))
        return backbone


def test_a_tuner_is_its_apply() -> None:
    backbone = random_backbone()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    tuned = Biases().apply(backbone)
    assert tuned is backbone
    assert {name.rpartition(".")[2] for name, p in tuned.named_parameters() if p.requires_grad} == {"bias"}
    assert Biases().merge(tuned) is tuned
    assert all(torch.equal(value, before[name]) for name, value in tuned.state_dict().items())
    assert Biases().term() is None


def test_freezing_leaves_nothing_to_train() -> None:
    backbone = random_backbone()
    assert freeze(backbone) is backbone
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
