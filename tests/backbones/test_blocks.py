"""Blocks with given attention weights are those of `transformers` when the weights are their own."""

import pytest
import torch

from ahs_seg.backbones.blocks import (
    key_value,
    post_norm_attention,
    post_norm_block,
    pre_norm_attention,
    pre_norm_block,
    recomputed,
)
from tests.support.backbone_kinds import tiny_backbone
from tests.support.tensors import dense


@torch.no_grad()
def test_a_pre_norm_block_is_that_of_the_tower() -> None:
    block, tokens = tiny_backbone("siglip").blocks("vision")[0], dense(2, 5, 32)
    found = pre_norm_block(block, pre_norm_attention(block).weights, tokens, 2)
    torch.testing.assert_close(found, block(tokens, None), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_tokens_that_come_before_are_attended_to_as_context() -> None:
    block, tokens = tiny_backbone("clip").blocks("text")[0], dense(2, 5, 16)
    weights = pre_norm_attention(block).weights
    tokens = torch.cat([tokens[:1, :2].expand(2, -1, -1), tokens[:, 2:]], 1)
    mask = torch.full((5, 5), float("-inf")).triu(1)
    context = key_value(block, weights, tokens[:1, :2])
    rest = pre_norm_block(block, weights, tokens[:, 2:], 2, mask[2:], context)
    torch.testing.assert_close(rest, pre_norm_block(block, weights, tokens, 2, mask)[:, 2:], rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", ["chinese_clip", "altclip"])
def test_a_post_norm_block_is_that_of_the_tower_without_dropout(name: str) -> None:
    block, tokens = tiny_backbone(name).blocks("text")[0], dense(2, 5, 16)
    weights = post_norm_attention(block).weights
    expected = block.eval()(tokens)
    torch.testing.assert_close(post_norm_block(block.train(), weights, tokens, 2), expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(block(tokens), expected)  # its own forward draws
    hidden = torch.zeros(2, 5, 5)
    hidden[..., 3:] = float("-inf")
    short = post_norm_block(block, weights, tokens[:, :3], 2)
    torch.testing.assert_close(post_norm_block(block, weights, tokens, 2, hidden)[:, :3], short, rtol=1e-5, atol=1e-5)


def test_what_is_computed_again_has_the_same_value_and_gradient() -> None:
    runs = []

    def square(value: torch.Tensor) -> torch.Tensor:
        runs.append(value)
        return value * value

    for active in (False, True):
        value = torch.tensor([1.0, -2.0], requires_grad=True)
        result = recomputed(square, value, active=active)
        result.sum().backward()
        assert value.grad is not None
        assert result.tolist() == [1.0, 4.0]
        assert value.grad.tolist() == [2.0, -4.0]
    assert len(runs) == 3
    with torch.no_grad():
        recomputed(square, torch.ones(2), active=True)
    assert len(runs) == 4
