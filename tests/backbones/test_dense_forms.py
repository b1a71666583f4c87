"""Dense forms by hand, on a block that is easily computed again; the recordings are in `parity`."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from ahs_seg.backbones.base import DenseForm
from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.dense_forms import neighbourhood, unused_parameters
from tests.support.builders import random_backbone

FORMS: tuple[DenseForm, ...] = get_args(DenseForm)


def dense(backbone: ClipBackbone, form: DenseForm, images: Tensor) -> Tensor:
    return ClipConfig(dense=form).in_form(backbone).encode_image(images).dense


def images() -> Tensor:
    return torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def test_sclip_adds_two_softmaxes_and_keeps_the_block() -> None:
    backbone = random_backbone()
    block = backbone.blocks("vision")[-1]
    seen: list[Tensor] = []
    block.layer_norm1.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    found = dense(backbone, "sclip", images())
    (tokens,) = seen
    attention, normed = block.self_attn, block.layer_norm1(tokens)
    query, key, value = (
        part(normed).view(1, -1, 2, 16).transpose(1, 2)
        for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    weights = sum((side @ side.mT / 4).softmax(-1) for side in (query, key))
    tokens = tokens + attention.out_proj((weights @ value).transpose(1, 2).flatten(2))
    tokens = tokens + block.mlp(block.layer_norm2(tokens))
    model = backbone.model
    expected = model.visual_projection(model.vision_model.post_layernorm(tokens))[0, 1:].T.reshape(24, 4, 6)
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_no_two_forms_are_the_same() -> None:
    backbone, shown = random_backbone(), images()
    found = [dense(backbone, form, shown) for form in FORMS]
    assert not any(torch.allclose(one, other) for i, one in enumerate(found) for other in found[:i])


def test_the_neighbourhood_falls_with_the_distance_in_patches() -> None:
    near = neighbourhood((2, 3), std=1.0)
    assert near.shape == (7, 7)
    assert near[0].tolist() == near[:, 0].tolist() == [0.0] * 7
    assert near[1, 1:].tolist() == pytest.approx(
        [1, 2.718281828**-0.5, 2.718281828**-2, *(2.718281828**-e for e in (0.5, 1, 2.5))]
    )


@pytest.mark.parametrize("form", FORMS)
def test_exactly_the_unused_parameters_get_no_gradient(form: DenseForm) -> None:
    backbone = random_backbone()
    block = backbone.blocks("vision")[-1]
    dense(backbone, form, images()).square().sum().backward()
    idle = [name for name, parameter in block.named_parameters() if parameter.grad is None]
    unused = {id(parameter) for parameter in unused_parameters(form, block)}
    assert idle == [name for name, parameter in block.named_parameters() if id(parameter) in unused]


def test_the_form_is_part_of_how_images_are_read() -> None:
    backbone = random_backbone()
    assert "dense" not in backbone.input_settings
    assert ClipConfig(dense="value").in_form(backbone).input_settings["dense"] == "value"
    assert backbone.without_adapter().dense_form == "value"
    assert ClipConfig(source="tiny", dense="residual").build_empty().dense_form == "residual"
    assert ClipConfig(source="tiny").build_empty().dense_form == "cat_seg"
