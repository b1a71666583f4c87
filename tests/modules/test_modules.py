"""Shared parts against the formulas they stand for."""

import pytest
import torch
import torch.nn.functional as F

from ahs_seg.modules.attention import multi_head_attention
from ahs_seg.modules.guided import GuidedLinear
from ahs_seg.modules.upsample import GuidedUpsample, upsample_convolve, upsampling_kernel


@pytest.mark.parametrize("masked", [False, True])
def test_attention_with_and_without_gradients_is_one_formula(masked: bool) -> None:
    query, key, value = (torch.randn(3, 2, 5, 8, dtype=torch.float64) for _ in range(3))
    mask = torch.where(torch.rand(2, 5, 5) < 0.3, -100.0, 0.0).double() if masked else None
    expected = torch.zeros(3, 2, 5, 8, dtype=torch.float64)
    for head in range(4):
        part = slice(2 * head, 2 * head + 2)
        logits = query[..., part] @ key[..., part].mT / 2**0.5
        logits = logits if mask is None else logits + mask
        expected[..., part] = logits.softmax(-1) @ value[..., part]
    torch.testing.assert_close(multi_head_attention(query, key, value, 4, mask), expected)
    with torch.no_grad():
        torch.testing.assert_close(multi_head_attention(query, key, value, 4, mask), expected)


def test_guided_linear_is_the_linear_map_of_the_concatenation() -> None:
    layer = GuidedLinear(4, 3)
    features, guidance = torch.randn(2, 6, 4), torch.randn(1, 6, 3)
    both = torch.cat([features, guidance.expand(2, -1, -1)], -1)
    expected = F.linear(both, layer.weight, layer.bias)
    torch.testing.assert_close(layer(features, layer.guide(guidance)), expected)


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (6, 5)])
def test_the_fused_kernel_is_a_transposed_convolution_and_a_convolution(size: tuple[int, int]) -> None:
    maps = torch.randn(2, 5, *size, dtype=torch.float64)
    up, kernel = torch.randn(5, 7, 2, 2, dtype=torch.float64), torch.randn(4, 7, 3, 3, dtype=torch.float64)
    expected = F.conv2d(F.conv_transpose2d(maps, up, stride=2), kernel, padding=1)
    torch.testing.assert_close(upsample_convolve(maps, upsampling_kernel(up, kernel)), expected)


def test_guided_upsample_equals_its_steps() -> None:
    stage = GuidedUpsample(16, 32, guidance_dim=6).double()
    maps, guidance = torch.randn(2, 3, 16, 4, 5).double(), torch.randn(2, 6, 8, 10).double()
    hidden = torch.cat([stage.up(maps.flatten(0, 1)), guidance.repeat_interleave(3, 0)], 1)
    hidden = F.relu(stage.norm1(stage.conv1(hidden)))
    expected = F.relu(stage.norm2(stage.conv2(hidden))).unflatten(0, (2, 3))
    torch.testing.assert_close(stage(maps, stage.guide(guidance), stage.kernel()), expected)
