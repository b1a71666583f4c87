"""What every backbone gets from the base class."""

import torch
from torch import nn

from ahs_seg.backbones.base import AttentionWeights, Tower
from tests.support.builders import random_backbone
from tests.support.tensors import dense


class Doubled(nn.Module):
    """Query matrices times two."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, tower: Tower, plain: list[AttentionWeights]) -> list[AttentionWeights]:
        return [weights._replace(query=self.factor * weights.query) for weights in plain]


@torch.no_grad()
def test_an_adapter_gives_the_weights_that_a_tower_uses() -> None:
    backbone = random_backbone()
    plain = backbone.attention_weights("vision")
    parts = backbone.attention("vision")
    assert len(plain) == len(parts) == backbone.depth
    assert all(torch.equal(weights.value, part.value.weight) for weights, part in zip(plain, parts, strict=True))
    backbone.adapter = Doubled()
    for before, after in zip(plain, backbone.attention_weights("vision"), strict=True):
        assert torch.equal(after.query, 2 * before.query)
        assert torch.equal(after.key, before.key)


@torch.no_grad()
def test_without_the_adapter_the_features_are_those_of_before() -> None:
    backbone, images = random_backbone(), torch.rand(1, 3, 64, 64)
    before = backbone.encode_image(images, levels=(0,)).levels[0]
    backbone.adapter = Doubled()
    assert not torch.allclose(backbone.encode_image(images, levels=(0,)).levels[0], before)
    assert torch.equal(backbone.without_adapter().encode_image(images, levels=(0,)).levels[0], before)
    assert backbone.adapter is not None


def test_text_is_trained_if_a_weight_of_it_or_of_an_adapter_is() -> None:
    backbone = random_backbone().requires_grad_(requires_grad=False)
    assert not backbone.text_is_trained()
    backbone.stem.requires_grad_(requires_grad=True)
    assert not backbone.text_is_trained()  # an image weight has no part in texts
    backbone.adapter = Doubled()
    assert backbone.text_is_trained()
    backbone.adapter = None
    backbone.blocks("text").requires_grad_(requires_grad=True)
    assert backbone.text_is_trained()


def test_images_are_normalised_by_mean_and_spread() -> None:
    backbone = random_backbone()
    mean = torch.tensor(backbone.mean).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    std = torch.tensor(backbone.std).view(1, 3, 1, 1)
    assert backbone.normalise(mean).abs().max() < 1e-6
    torch.testing.assert_close(backbone.normalise(mean + std), torch.ones(1, 3, 2, 2))
    images = dense(2, 3, 4, 5)
    torch.testing.assert_close(backbone.normalise(images) * std + mean[:, :, :1, :1], images)


def test_the_network_state_is_that_of_the_model() -> None:
    backbone = random_backbone()
    assert set(backbone.network_state()) == set(backbone.model.state_dict())
    backbone.adapter = Doubled()
    assert set(backbone.network_state()) == set(backbone.model.state_dict())
