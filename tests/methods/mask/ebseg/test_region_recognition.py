"""Regions recognised by copies of CLIP's class token."""

import pytest
import torch
import torch.nn.functional as F

from ahs_seg.methods.mask.ebseg.region_recognition import RegionRecognition
from tests.support.builders import random_backbone


def test_regions_are_copies_of_the_class_token_that_see_patches_and_themselves() -> None:
    """The original's form: copies before all tokens, and a mask of -100 over what they do not see."""
    backbone = random_backbone(depth=4)
    recognition = RegionRecognition(backbone, head=2, taps=(1, 1, 2), value_start=1)
    pixels = torch.randn(2, 3, 24, 40)
    with torch.no_grad():
        front = recognition(pixels)
        bias = 2 * torch.randn(2, 2, 5, 15)
        tokens, grid = recognition.embed(pixels)
        assert grid == (3, 5)
        weights = backbone.attention_weights("vision")
        blocks = backbone.model.vision_model.encoder.layers
        for block, own in zip(blocks[:2], weights[:2], strict=True):
            tokens = recognition._plain(block, own, tokens)
        torch.testing.assert_close(front.start, tokens[:, :1])
        mask = torch.zeros(2, 2, 21, 21)
        mask[..., :5] = -100
        mask[..., :5, :5] = torch.where(torch.eye(5).bool(), 0.0, -100.0)
        mask[..., :5, 5] = -100
        mask[..., :5, 6:] = bias
        tokens = torch.cat([tokens[:, :1].expand(-1, 5, -1), tokens], 1)
        for block, own in zip(blocks[2:], weights[2:], strict=True):
            part, normed = block.self_attn, block.layer_norm1(tokens)
            q, k, v = (
                F.linear(normed, weight, projection.bias).unflatten(-1, (2, 16)).transpose(1, 2)
                for weight, projection in zip(own[:3], (part.q_proj, part.k_proj, part.v_proj), strict=True)
            )
            mixed = ((q @ k.transpose(-1, -2)) / 4 + mask).softmax(-1) @ v
            tokens = tokens + F.linear(mixed.transpose(1, 2).flatten(2), own.output, part.out_proj.bias)
            tokens = tokens + block.mlp(block.layer_norm2(tokens))
        model = backbone.model
        expected = F.normalize(model.visual_projection(model.vision_model.post_layernorm(tokens[:, :5])), dim=-1)
        torch.testing.assert_close(recognition.recognise(front, bias), expected, rtol=1e-4, atol=1e-5)


def test_recognition_needs_blocks_before_it() -> None:
    with pytest.raises(ValueError, match="do not fit a CLIP of 3 blocks"):
        RegionRecognition(random_backbone(), head=3, taps=(1, 1, 1), value_start=1)
    with pytest.raises(ValueError, match="lie before the last 1"):
        RegionRecognition(random_backbone(), head=1, taps=(1, 2, 3), value_start=1)
