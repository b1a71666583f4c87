"""Upsampling and a convolution in one step."""

import pytest
import torch
import torch.nn.functional as F

from ahs_seg.modules.upsample import GuidedUpsample, upsample_convolve, upsampling_kernel


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
