"""The geodesic similarity by hand."""

import pytest
import torch

from ahs_seg.methods.cost.parts.geodesic_similarity import GeodesicSimilarity


@torch.no_grad()
def test_geodesic_similarity_by_hand_and_in_order() -> None:
    similarity = GeodesicSimilarity(1.0)
    assert similarity.curvature.item() == pytest.approx(1)
    values = similarity(torch.tensor([1.0, 0.5, 0.0, -1.0]))
    torch.testing.assert_close(values, torch.tensor([1, 2 / 3, 1 / 2, 0]), rtol=0, atol=5e-4)
    rising = similarity(torch.linspace(-1, 1, 1001))
    assert (rising.diff() > 0).all()
    centred = GeodesicSimilarity()(torch.tensor([1.0, 0.5, 0.0, -1.0]))
    torch.testing.assert_close(centred, torch.tensor([1, 1 / 3, 0, -1]), rtol=0, atol=1e-3)
    similarity.raw_curvature.fill_(5.0)
    assert (similarity(torch.linspace(-1, 1, 1001)).diff() > 0).all()
    assert sum(value.numel() for value in similarity.parameters()) == 1
    cosine = torch.tensor([0.3, -0.9, 0.999], dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        assert torch.autograd.gradcheck(GeodesicSimilarity().double(), (cosine,))
