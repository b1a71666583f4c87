"""Training-free segmentation in two graphs."""

import torch

from ahs_seg.checkpoints.exporting.zero_shot import StagedZeroShot
from ahs_seg.methods import ZeroShotConfig
from ahs_seg.methods.zero_shot import ZeroShotSegmenter
from ahs_seg.types import ClassText
from tests.support.exported import eager, small


def test_images_keep_their_aspect_and_texts_have_any_number_of_prompts() -> None:
    method = small(ZeroShotConfig)
    assert isinstance(method, ZeroShotSegmenter)
    parts, text = StagedZeroShot(method), torch.randn(4, 3, 24)
    images = torch.rand(1, 3, 64, 101)
    with torch.no_grad():
        run = eager(parts)
        found = parts.decode(parts.encode(images, run), text, run)
        assert torch.allclose(found.logits, method(images, text).logits, atol=1e-5)
    assert found.logits.shape[-1] > found.logits.shape[-2]
    assert parts.texts(ClassText(text, text)) == {"text": text}
