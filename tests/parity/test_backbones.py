"""Every kind of backbone gives what `transformers` gave for the same weights; dense features are as specified."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from ahs_seg.backbones.base import BackboneError
from tests.parity.backbone_case import NAMES, SIGLIPS, TOLERANCE, BackboneCase, backbone_case


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest) -> BackboneCase:
    return backbone_case(request.param)


@torch.no_grad()
def test_image_features(case: BackboneCase) -> None:
    found = case.backbone.encode_image(case.images, levels=case.info["levels"], pooled=True)
    case.close("dense", found.dense)
    case.close("level_a", found.levels[0])
    case.close("level_b", found.levels[1])
    assert found.pooled is not None
    case.close("image_embed", found.pooled)


@torch.no_grad()
def test_a_grid_that_is_not_that_of_the_training(case: BackboneCase) -> None:
    found = case.backbone.encode_image(case.image("wide", 64, 96), pooled=True)
    case.close("dense_wide", found.dense)
    assert found.pooled is not None
    case.close("image_embed_wide", found.pooled)


@torch.no_grad()
def test_texts_and_the_logits_of_the_whole_model(case: BackboneCase) -> None:
    backbone = case.backbone
    text = backbone.encode_text(case.tokens)
    case.close("text_embed", text)
    pooled = backbone.encode_image(case.images, pooled=True).pooled
    assert pooled is not None
    logits = backbone.logit_scale * F.normalize(pooled, dim=-1) @ F.normalize(text, dim=-1).T
    bias = getattr(backbone.model, "logit_bias", torch.tensor(0.0))
    case.close("logits_per_image", logits + bias)


@torch.no_grad()
def test_in_training_mode_a_text_has_one_embedding(case: BackboneCase) -> None:
    """The networks of Chinese-CLIP and AltCLIP have dropout, which would make two of it."""
    case.backbone.train()
    case.close("text_embed", case.backbone.encode_text(case.tokens))
    case.backbone.eval()


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in NAMES if name not in SIGLIPS])
def test_padding_changes_no_text(name: str) -> None:
    case = backbone_case(name)
    tokens = case.tokens
    shorter = int(tokens.ends[0]) + 1
    alone = dataclasses.replace(tokens[:1], ids=tokens.ids[:1, :shorter])
    expected = case.backbone.encode_text(tokens)[:1]
    assert (case.backbone.encode_text(alone) - expected).abs().max() <= TOLERANCE * expected.abs().max()


@torch.no_grad()
@pytest.mark.parametrize("name", SIGLIPS)
def test_a_row_that_is_padded_too_short_is_refused(name: str) -> None:
    case = backbone_case(name)
    tokens = dataclasses.replace(case.tokens, ids=case.tokens.ids[:, :8])
    with pytest.raises(BackboneError, match="padded to 8 tokens; this text tower reads rows of exactly 16"):
        case.backbone.encode_text(tokens)


@torch.no_grad()
@pytest.mark.parametrize("name", SIGLIPS)
def test_dense_features_are_the_pooling_head_on_each_patch_alone(name: str) -> None:
    case = backbone_case(name)
    found = case.backbone.encode_image(case.images, levels=(case.backbone.depth - 1,))
    tower = case.backbone.model.vision_model
    patches = tower.post_layernorm(found.levels[0].permute(0, 2, 3, 1)).flatten(0, 2)[:, None]
    alone = tower.head(patches)
    torch.testing.assert_close(found.dense.permute(0, 2, 3, 1).flatten(0, 2), alone, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", SIGLIPS)
def test_an_image_of_one_patch_or_of_equal_patches_is_its_patch(name: str) -> None:
    case = backbone_case(name)
    one = case.backbone.encode_image(case.image("one", 16, 16), pooled=True)
    assert one.pooled is not None
    case.close("dense_one", one.dense)
    case.close("image_embed_one", one.pooled)
    torch.testing.assert_close(one.dense[..., 0, 0], one.pooled, rtol=0, atol=1e-5)
    table = case.backbone.position_table
    before = table.clone()
    table.copy_(before[:1].expand_as(before))
    flat = case.backbone.encode_image(torch.full((1, 3, 64, 64), 0.3), pooled=True)
    table.copy_(before)
    assert flat.pooled is not None
    spread = (flat.dense - flat.pooled[:, :, None, None]).abs().max()
    assert spread <= 1e-5 * flat.dense.abs().max()


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in NAMES if name not in SIGLIPS])
def test_the_class_tokens_own_attention_over_the_values_is_the_pooled_embedding(name: str) -> None:
    """Before the MLP of the last block: the values of dense features, weighted as the class token weights them."""
    case = backbone_case(name)
    backbone, model = case.backbone, case.backbone.model
    tokens, _ = backbone.embed_image(backbone.normalise(case.images))
    for block in model.vision_model.encoder.layers[:-1]:
        tokens = block(tokens, None)
    last = model.vision_model.encoder.layers[-1]
    own, normed = last.self_attn, last.layer_norm1(tokens)
    heads = [part(normed).unflatten(-1, (backbone.heads, -1)).transpose(1, 2) for part in (own.q_proj, own.k_proj)]
    weights = (heads[0][:, :, :1] @ heads[1].mT * heads[0].shape[-1] ** -0.5).softmax(-1)
    values = own.v_proj(normed).unflatten(-1, (backbone.heads, -1)).transpose(1, 2)
    start = own.out_proj((weights @ values).transpose(1, 2).flatten(2)) + tokens[:, :1]
    whole = start + last.mlp(last.layer_norm2(start))
    case.close("image_embed", model.visual_projection(model.vision_model.post_layernorm(whole))[:, 0])
