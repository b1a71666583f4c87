"""A linear map of features beside guidance."""

import torch
import torch.nn.functional as F

from ahs_seg.modules.guided import GuidedLinear


def test_guided_linear_is_the_linear_map_of_the_concatenation() -> None:
    layer = GuidedLinear(4, 3)
    features, guidance = torch.randn(2, 6, 4), torch.randn(1, 6, 3)
    both = torch.cat([features, guidance.expand(2, -1, -1)], -1)
    expected = F.linear(both, layer.weight, layer.bias)
    torch.testing.assert_close(layer(features, layer.guide(guidance)), expected)
