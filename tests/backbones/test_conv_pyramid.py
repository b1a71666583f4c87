"""Small convolutions: every stage halves the resolution, what is not near does not count, all of it trains."""

import pytest
import torch

from ahs_seg.backbones.conv_pyramid import ConvPyramid, ConvPyramidConfig
from ahs_seg.config import ConfigError


def test_blocks_are_what_the_config_says() -> None:
    counts = [sum(p.numel() for p in ConvPyramidConfig(blocks=blocks).build().parameters()) for blocks in (0, 1, 2)]
    assert counts[1] - counts[0] == counts[2] - counts[1]
    # A block of a stage is two 3x3 convolutions with bias and two group norms.
    assert counts[1] - counts[0] == sum(2 * (9 * w * w + w + 2 * w) for w in (32, 64, 96, 128))


def test_images_are_brought_to_plus_and_minus_one() -> None:
    images = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1)
    assert ConvPyramid((4, 4, 4, 4)).normalise(images).flatten().tolist() == [-1, 0, 1]


def test_every_weight_has_a_gradient() -> None:
    network = ConvPyramidConfig(channels=(4, 6, 8, 12)).build()
    torch.stack([level.square().sum() for level in network(torch.randn(1, 3, 64, 64))]).sum().backward()
    assert all(p.requires_grad and p.grad is not None and p.grad.any() for p in network.parameters())


@torch.no_grad()
def test_images_do_not_see_each_other() -> None:
    network, images = ConvPyramidConfig(channels=(4, 6, 8, 12)).build().eval(), torch.randn(2, 3, 32, 64)
    for one, both in zip(network(images[1:]), network(images), strict=True):
        torch.testing.assert_close(one, both[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", ["channels=[8, 8, 8]", "channels=[8, 8, 8, 0]", "block=2"])
def test_wrong_sizes_name_their_key(wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong.partition("=")[0]):
        ConvPyramidConfig.parse({}, [wrong])
