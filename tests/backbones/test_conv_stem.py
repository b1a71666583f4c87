"""A convolutional patch embedding."""

import torch

from ahs_seg.backbones.conv_stem import ConvStem


@torch.no_grad()
def test_a_folded_stem_computes_the_same() -> None:
    stem = ConvStem([4, 8], 16, norm=True)
    for _ in range(3):
        stem(torch.rand(4, 3, 16, 16))
    stem.eval()
    images = torch.rand(2, 3, 16, 16)
    folded = stem.folded()
    torch.testing.assert_close(folded(images), stem(images), rtol=1e-4, atol=1e-5)
    assert not any("running" in name for name in folded.state_dict())
    plain = ConvStem([4, 8], 16)
    plain.load_state_dict(folded.state_dict())


def test_the_stem_has_the_weight_that_transformers_reads_from_a_patch_convolution() -> None:
    stem = ConvStem([4, 8], 16)
    assert stem.weight.shape == (4, 3, 3, 3)
    assert "weight" not in stem.state_dict()
