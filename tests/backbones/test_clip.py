"""The dense backbone against `transformers`' own forward and against the plain formulas."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.image_tower import resample_positions
from ahs_seg.backbones.tokenizer import TextTooLongError, Tokens
from tests.support.builders import clip_of_transformers, random_backbone


@pytest.fixture(scope="module")
def backbone() -> ClipBackbone:
    return random_backbone()


def pick(output: Any) -> torch.Tensor:
    return getattr(output, "pooler_output", output)


@torch.no_grad()
def test_pooled_equals_transformers(backbone: ClipBackbone) -> None:
    images = torch.rand(2, 3, 32, 32)
    expected = pick(clip_of_transformers(backbone).get_image_features(pixel_values=backbone.normalise(images)))
    pooled = backbone.encode_image(images, pooled=True).pooled
    torch.testing.assert_close(pooled, expected, rtol=1e-4, atol=1e-4)
    assert backbone.encode_image(images).pooled is None


@torch.no_grad()
def test_images_of_any_size_are_seen_at_the_resolution(backbone: ClipBackbone) -> None:
    images = torch.rand(2, 3, 50, 41)
    side = (backbone.resolution, backbone.resolution)
    square = F.interpolate(images, size=side, mode="bilinear", align_corners=False)
    found = backbone.encode_resized(images, levels=(1,), pooled=True)
    expected = backbone.encode_image(square, levels=(1,))
    assert torch.equal(found.dense, expected.dense)
    assert torch.equal(found.levels[0], expected.levels[0])
    assert found.pooled is not None


@torch.no_grad()
def test_levels_equal_transformers(backbone: ClipBackbone) -> None:
    images = torch.rand(2, 3, 32, 32)
    vision = clip_of_transformers(backbone).vision_model
    hidden = vision(pixel_values=backbone.normalise(images), output_hidden_states=True).hidden_states
    levels = backbone.encode_image(images, levels=(1, 0)).levels
    for level, expected in zip(levels, (hidden[2], hidden[1]), strict=True):
        torch.testing.assert_close(level, expected[:, 1:].mT.unflatten(-1, (4, 4)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_dense_features_follow_the_formula(backbone: ClipBackbone) -> None:
    images = torch.rand(1, 3, 32, 32)
    vision = clip_of_transformers(backbone).vision_model
    hidden = vision(pixel_values=backbone.normalise(images), output_hidden_states=True).hidden_states
    block, tokens = vision.encoder.layers[-1], hidden[2]
    value = block.self_attn.out_proj(block.self_attn.v_proj(block.layer_norm1(tokens)))
    dense = value + tokens[:, :1]
    dense = dense + block.mlp(block.layer_norm2(dense))
    features = backbone.encode_image(images, levels=(2,))
    torch.testing.assert_close(features.levels[0], dense[:, 1:].mT.unflatten(-1, (4, 4)), rtol=1e-4, atol=1e-4)
    dense = backbone.model.visual_projection(vision.post_layernorm(dense))[:, 1:]
    torch.testing.assert_close(features.dense, dense.mT.unflatten(-1, (4, 4)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("shared", [0, 1, 4])
def test_text_equals_transformers_whatever_the_prompts_share(backbone: ClipBackbone, shared: int) -> None:
    generator = torch.Generator().manual_seed(shared)
    ids = torch.randint(1, 257, (5, 9), generator=generator)
    ids[:, :shared] = ids[0, :shared]
    ends = torch.tensor([8, 6, 5, 8, 7])
    for row, end in enumerate(ends):
        ids[row, end:] = 0
        ids[row, end] = 258
    padded = F.pad(ids, (0, 31))
    theirs = clip_of_transformers(backbone)
    theirs.text_model.eos_token_id = 258
    expected = pick(theirs.get_text_features(input_ids=padded))
    torch.testing.assert_close(backbone.encode_text(Tokens(ids, ends)), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_identical_and_single_prompts() -> None:
    backbone = random_backbone()
    tokens = backbone.tokenizer(["a cat", "a cat", "a catalogue"])
    together = backbone.encode_text(tokens)
    torch.testing.assert_close(together[0], together[1])
    alone = backbone.encode_text(backbone.tokenizer(["a cat"]))
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-5)
    twice = backbone.encode_text(backbone.tokenizer(["a cat", "a cat"]))
    torch.testing.assert_close(twice, together[:2], rtol=1e-4, atol=1e-5)


def test_positions_are_resampled_like_catseg() -> None:
    table = torch.randn(17, 8)
    resampled = resample_positions(table, (6, 5))
    grid = F.interpolate(table[1:].T.view(1, 8, 4, 4), size=(6, 5), mode="bicubic", align_corners=False)
    torch.testing.assert_close(resampled, torch.cat([table[:1], grid.view(8, 30).T]))
    assert resample_positions(table, (4, 4)) is table


def test_errors_say_what_is_allowed(backbone: ClipBackbone) -> None:
    with pytest.raises(ValueError, match=r"image is 50x33 pixels; both sides must be multiples of 8. Pad it to 56x40"):
        backbone.encode_image(torch.rand(1, 3, 33, 50))
    with pytest.raises(ValueError, match="level 3 does not exist; this backbone has 3 blocks, so levels are 0 to 2"):
        backbone.encode_image(torch.rand(1, 3, 32, 32), levels=(0, 3))
    with pytest.raises(ValueError, match="resolution 60 is not a multiple of the patch size 8; use 56 or 64"):
        random_backbone(resolution=60)
    with pytest.raises(TextTooLongError, match=r"has 60 tokens.*at most 40. Use a shorter name"):
        backbone.tokenizer(["x" * 58])
    with pytest.raises(ValueError, match="no prompts"):
        backbone.tokenizer([])


def test_checkpointing_changes_no_gradient() -> None:
    gradients = []
    for checkpointing in (False, True):
        backbone = random_backbone()
        backbone.checkpointing = checkpointing
        generator = torch.Generator().manual_seed(0)
        dense = backbone.encode_image(torch.rand(1, 3, 32, 32, generator=generator)).dense
        text = backbone.encode_text(backbone.tokenizer(["ab", "ac"]))
        (dense.square().sum() + text.square().sum()).backward()
        gradients.append([p.grad for p in backbone.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
