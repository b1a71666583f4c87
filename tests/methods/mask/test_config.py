"""What configs of the mask family have in common: decoders of the sizes asked for, losses as one term."""

from typing import Any, Literal

import pytest
import torch
from torch import nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.conv_pyramid import ConvPyramidConfig
from ahs_seg.config import ConfigError
from ahs_seg.methods.base import Method
from ahs_seg.methods.mask.config import MaskMethodConfig
from ahs_seg.methods.objective import TrainingClasses
from tests.support.builders import random_backbone


class Constant(nn.Module):
    """A loss that is always three."""

    def forward(self, method: nn.Module, view: object) -> dict[str, torch.Tensor]:
        return {"constant": torch.tensor(3.0)}


class Example(MaskMethodConfig):
    """A method of the mask family with nothing of its own."""

    name: Literal["example"] = "example"
    backbone: ClipConfig = ClipConfig()

    def compose(self, backbone: Backbone) -> Method:
        raise NotImplementedError

    def term(self) -> nn.Module:
        return Constant()


SMALL = Example(
    pixels=ConvPyramidConfig(channels=(8, 8, 16, 16)),
    queries=5,
    dim=64,
    heads=4,
    encoder_layers=1,
    encoder_feedforward=24,
    decoder_layers=2,
    decoder_feedforward=40,
)


def test_decoders_have_the_sizes_of_the_config() -> None:
    pixels, queries = SMALL.decoders((8, 8, 16, 16))
    assert (pixels.dim, pixels.mask_dim) == (64, 64)
    assert [part.fc1.out_features for part in pixels.encoder.layers] == [24]
    assert (queries.dim, queries.queries, queries.layers) == (64, 5, 2)
    assert [part.fc1.out_features for part in queries.decoder.layers] == [40, 40]


@torch.no_grad()
def test_the_two_decoders_fit_each_other() -> None:
    pixels, queries = SMALL.decoders((8, 8, 16, 16))
    maps = [torch.randn(1, c, 32 // s, 64 // s) for c, s in zip((8, 8, 16, 16), (1, 2, 4, 8), strict=True)]
    predictions = queries.eval()(pixels.eval()(maps))
    assert [tuple(one.masks.shape) for one in predictions] == [(1, 5, 32, 64)] * 3


def test_defaults_are_those_of_the_papers() -> None:
    config = Example(pixels=ConvPyramidConfig())
    assert (config.queries, config.dim, config.heads, config.encoder_layers) == (100, 256, 8, 6)
    assert (config.encoder_feedforward, config.decoder_layers, config.decoder_feedforward) == (1024, 9, 2048)


def test_the_objective_is_the_term_and_nothing_depends_on_the_classes() -> None:
    classes = TrainingClasses(("a",), (None,), lambda: torch.zeros(1, 2))
    objective = SMALL.objective(nn.Identity(), classes)
    assert [type(part) for part in objective.terms] == [Constant]
    assert SMALL.for_classes(847) is SMALL


@pytest.mark.parametrize("wrong", [{"queries": 0}, {"dim": -1}, {"pixels": {"name": "resnet"}}, {"masks": 3}])
def test_wrong_values_name_their_key(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Example.parse({"pixels": {"name": "conv_pyramid"}, **wrong})


def test_the_backbone_has_the_dense_form_of_the_config() -> None:
    assert SMALL.replace(backbone=ClipConfig(dense="value")).clip(random_backbone()).dense_form == "value"
    assert SMALL.clip(random_backbone()).dense_form == "cat_seg"
