"""The frequency filter of SCAN."""

import math

import torch

from ahs_seg.methods.mask.scan.semantic_integration import FrequencyFilter, gap


def test_the_gap_is_one_in_its_middle_and_falls_as_a_gaussian() -> None:
    values = gap(4, 6, 2.0)
    assert values[2, 3] == 1
    assert math.isclose(values[0, 3].item(), math.exp(-4 / 8), rel_tol=1e-6)
    assert math.isclose(values[2, 0].item(), math.exp(-9 / 8), rel_tol=1e-6)


@torch.no_grad()
def identity_filter(width: int) -> FrequencyFilter:
    """The network lets through what is positive, and is told apart from negative numbers by a large constant."""
    result = FrequencyFilter(width)
    for conv in (result.conv1, result.conv2):
        conv.weight.copy_(torch.eye(2 * width)[..., None, None])
        conv.bias.fill_(1000.0 if conv is result.conv1 else -1000.0)
    return result


@torch.no_grad()
def test_a_constant_passes_and_a_chessboard_does_not() -> None:
    side = 8
    rows = torch.arange(side)
    chessboard = ((rows[:, None] + rows) % 2 * 2.0 - 1)[None, None]
    constant = torch.ones(1, 1, side, side)
    filtered = identity_filter(1)
    torch.testing.assert_close(filtered(chessboard, sigma=2.0), chessboard, atol=1e-3, rtol=0)  # nothing is added
    passed = 1 - math.exp(-(4**2 + 4**2) / (2 * 2.0**2))
    torch.testing.assert_close(filtered(constant, sigma=2.0), (1 + passed) * constant, atol=1e-3, rtol=0)


def test_it_stays_in_float32_under_autocast() -> None:
    maps = torch.randn(2, 3, 5, 4)
    module = FrequencyFilter(3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module(maps, sigma=3.0), module(maps.float(), sigma=3.0))
        assert module(maps, sigma=3.0).dtype == torch.float32
