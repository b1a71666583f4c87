"""What only SigLIP has: one joint width for both towers, no class token, a head that every tuner leaves alone."""

from typing import Any

import pytest
import torch
from transformers import SiglipConfig

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.siglip import ENGLISH_TOKENS, Siglip2Backbone, SiglipBackbone
from ahs_seg.tuners import Attention, Full
from tests.support.backbone_kinds import tiny_backbone
from tests.support.tensors import dense


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"text_config": {"projection_size": 24}}, r"images are embedded in 32 dimensions.*texts in 24"),
        ({"text_config": {"hidden_size": 16}}, r"texts in 16"),
        ({"vision_config": {"vision_use_head": False}}, "without its pooling head a SigLIP fits no text"),
    ],
)
def test_towers_that_do_not_meet_are_refused(values: dict[str, dict[str, Any]], message: str) -> None:
    text = {"hidden_size": 32, **values.get("text_config", {})}
    config = SiglipConfig(vision_config={"hidden_size": 32, **values.get("vision_config", {})}, text_config=text)
    with pytest.raises(BackboneError, match=message):
        SiglipBackbone.joint_width(config)


def test_the_usual_side_is_that_of_the_position_table() -> None:
    """So400m with patches of 14 has an image of 384 pixels in its config, of which its convolution sees 378."""
    config = SiglipConfig(vision_config={"image_size": 384, "patch_size": 14})
    assert SiglipBackbone.native_resolution(config) == 378
    assert Siglip2Backbone.native_resolution(tiny_backbone("siglip2_naflex").model.config) == 32


def test_the_number_of_tokens_tells_the_languages() -> None:
    backbone = tiny_backbone("siglip")
    assert backbone.languages == ("en",)
    backbone.model.config.text_config.vocab_size = ENGLISH_TOKENS + 1
    assert backbone.without_adapter().languages is None


@torch.no_grad()
def test_patches_for_any_grid_are_a_linear_layer_over_row_column_and_channel() -> None:
    backbone = tiny_backbone("siglip2_naflex")
    assert isinstance(backbone, Siglip2Backbone)
    pixels = dense(1, 3, 16, 24)
    flat = pixels[0, :, 8:16, 8:16].permute(1, 2, 0).flatten()
    torch.testing.assert_close(backbone.patches(pixels)[0, :, 1, 1], backbone.stem(flat), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tuner", [Attention(), Full(stem=True)], ids=["attention", "full"])
def test_no_tuner_trains_the_head_but_the_last_block_is_alive(tuner: Attention | Full) -> None:
    backbone = tuner.apply(tiny_backbone("siglip"))
    trained = {name for name, value in backbone.named_parameters() if value.requires_grad}
    assert "model.vision_model.encoder.layers.2.self_attn.q_proj.weight" in trained
    assert not any("vision_model.head" in name or "text_model.head" in name for name in trained)
    unused = backbone.unused_in_dense()
    assert [tuple(value.shape) for value in unused] == [(1, 1, 32)]


@torch.no_grad()
def test_the_last_level_is_the_last_block_as_it_was_trained() -> None:
    backbone = tiny_backbone("siglip", resolution=32)
    images = torch.rand(1, 3, 32, 32)
    hidden = backbone.model.vision_model(pixel_values=backbone.normalise(images), output_hidden_states=True)
    levels = backbone.encode_image(images, levels=(2, 0)).levels
    for level, expected in zip(levels, (hidden.hidden_states[3], hidden.hidden_states[1]), strict=True):
        torch.testing.assert_close(level, expected.mT.unflatten(-1, (4, 4)), rtol=1e-4, atol=1e-5)
