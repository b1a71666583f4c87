"""The training-free baseline."""

import torch

from ahs_seg.methods import ZeroShotConfig
from tests.support.builders import random_backbone
from tests.support.small_methods import inputs


@torch.no_grad()
def test_zero_shot_labels_a_patch_with_the_nearest_name() -> None:
    method = ZeroShotConfig().compose(random_backbone())
    assert not any(p.requires_grad for p in method.parameters())
    images, text = inputs(6)
    output = method(images, text)
    dense = torch.nn.functional.normalize(output.features.dense, dim=1)
    cosine = torch.einsum("bdhw,td->bthw", dense, torch.nn.functional.normalize(text[:, 0], dim=-1))
    assert torch.equal(output.logits.argmax(1), cosine.argmax(1))
    torch.testing.assert_close(method.scores(output.logits).sum(1), torch.ones(2, 8, 8))
