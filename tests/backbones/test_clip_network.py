"""Our CLIP has the names, sizes and results of that of `transformers`."""

from typing import Any

import pytest
import torch
from transformers import CLIPConfig, CLIPModel
from transformers.activations import ACT2FN

from ahs_seg.backbones.clip_network import ACTIVATIONS, ClipNetwork
from ahs_seg.backbones.conv_stem import ConvStem
from tests.support.builders import random_backbone


def config(**more: Any) -> CLIPConfig:
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": 3}
    vision = {**sizes, "patch_size": 8, "image_size": 32, **more}
    return CLIPConfig(vision_config=vision, text_config={**sizes, "vocab_size": 300}, projection_dim=24)


def test_the_weights_have_the_names_and_shapes_of_transformers_in_their_order() -> None:
    ours, theirs = ClipNetwork(config()), CLIPModel(config())
    shapes = [[(name, value.shape) for name, value in one.named_parameters()] for one in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert ours.state_dict().keys() == theirs.state_dict().keys()


def test_random_weights_have_the_deviations_of_transformers() -> None:
    torch.manual_seed(0)
    ours, theirs = ClipNetwork(config()), dict(CLIPModel(config()).named_parameters())
    for name, value in ours.named_parameters():
        if name.endswith("class_embedding") or value.ndim == 0:
            continue  # too few values
        assert value.std().item() == pytest.approx(theirs[name].std().item(), rel=0.15), name
        assert value.mean().item() == pytest.approx(theirs[name].mean().item(), abs=0.02), name
    assert torch.equal(ours.logit_scale, theirs["logit_scale"])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_transformers(name: str) -> None:
    values = torch.linspace(-6, 6, 101)
    torch.testing.assert_close(ACTIVATIONS[name](values), ACT2FN[name](values), rtol=1e-6, atol=1e-6)


def test_an_unknown_activation_is_named() -> None:
    with pytest.raises(ValueError, match=r"hidden_act is 'mish'; a CLIP has one of gelu, .*quick_gelu"):
        ClipNetwork(config(hidden_act="mish"))


@torch.no_grad()
def test_a_masked_position_is_not_read() -> None:
    block, tokens = random_backbone().model.vision_model.encoder.layers[0], torch.randn(2, 5, 32)
    mask = torch.full((5, 5), float("-inf")).triu(1)
    changed = tokens.clone()
    changed[:, -1] = -changed[:, -1]  # a constant would not pass the norm
    torch.testing.assert_close(block(tokens, mask)[:, :-1], block(changed, mask)[:, :-1])
    assert not torch.allclose(block(tokens)[:, :-1], block(changed)[:, :-1])


def test_a_stem_takes_the_place_of_the_patch_convolution() -> None:
    stem = ClipNetwork(config(stem_channels=[8, 8, 8])).vision_model.embeddings.patch_embedding
    assert isinstance(stem, ConvStem)
    assert stem(torch.rand(1, 3, 32, 32)).shape == (1, 64, 4, 4)
