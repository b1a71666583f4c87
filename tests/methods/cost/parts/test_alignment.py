"""The aligner turns features by a small angle."""

import math

import torch
import torch.nn.functional as F

from ahs_seg.methods.cost.parts.alignment import Alignment, HypersphericalAligner
from tests.support.tensors import dense


@torch.no_grad()
def test_the_aligner_turns_by_six_degrees_at_most() -> None:
    aligner = HypersphericalAligner(16)
    for parameter in aligner.parameters():
        parameter.normal_(std=3)
    features = dense(2, 16, 3, 3)
    turned = aligner(features)
    torch.testing.assert_close(turned.norm(dim=1), torch.ones(2, 3, 3))
    angle = torch.acos(F.cosine_similarity(turned, features, dim=1)).max()
    assert 0.03 < angle <= math.asin(0.1) + 1e-4
    still = Alignment(share=0.0).build(16)(features)
    torch.testing.assert_close(still, F.normalize(features, dim=1))
    assert sum(value.numel() for value in HypersphericalAligner(512).parameters()) == 131_712
