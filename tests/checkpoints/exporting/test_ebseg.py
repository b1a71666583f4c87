"""EBSeg in two graphs."""

import torch

from ahs_seg.checkpoints.exporting.ebseg import StagedEBSeg
from ahs_seg.methods import EBSegConfig
from ahs_seg.methods.mask.ebseg.segmenter import EBSegSegmenter
from ahs_seg.types import ClassText
from tests.support.exported import eager, small


def test_seen_classes_reach_the_graph_and_images_get_its_size() -> None:
    method = small(EBSegConfig)
    assert isinstance(method, EBSegSegmenter)
    parts, text = StagedEBSeg(method), torch.randn(4, 1, 24)
    seen = torch.tensor([True, False, True, False])
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        run = eager(parts)
        features = parts.encode(images, run)
        for known, share in ((seen, None), (None, None), (seen, torch.tensor([0.2, 0.9, 0.5, 0.0]))):
            words = ClassText(text, text, known, seen_share=share)
            assert torch.allclose(parts.decode(features, words, run).logits, method(images, words).logits, atol=1e-5)
        assert not torch.equal(
            parts.decode(features, ClassText(text, text, seen), run).logits, parts.decode(features, text, run).logits
        )
        larger = parts.decode(parts.encode(torch.rand(2, 3, 90, 120), run), text, run)
    assert larger.proposals is not None
    assert larger.proposals.size == (64, 64)
