"""What the methods have in common, as equalities."""

import torch

from ahs_seg.methods import CatSegConfig, HClipConfig, ZeroShotConfig
from ahs_seg.tuners import Attention, Orthogonal
from tests.methods.cost.test_segmenter import SMALL, inputs
from tests.support.builders import random_backbone


@torch.no_grad()
def test_h_clip_with_attention_tuning_is_cat_seg() -> None:
    torch.manual_seed(0)
    one = CatSegConfig(cost=SMALL).compose(random_backbone())
    torch.manual_seed(0)
    other = HClipConfig(cost=SMALL, tuner=Attention()).compose(random_backbone())
    images, text = inputs(5)
    assert torch.equal(one(images, text).logits, other(images, text).logits)
    trained = [{name for name, p in model.named_parameters() if p.requires_grad} for model in (one, other)]
    assert trained[0] == trained[1]


@torch.no_grad()
def test_an_untrained_h_clip_segments_like_cat_seg() -> None:
    torch.manual_seed(0)
    one = CatSegConfig(cost=SMALL).compose(random_backbone())
    torch.manual_seed(0)
    other = HClipConfig(cost=SMALL, tuner=Orthogonal(block=8)).compose(random_backbone())
    images, text = inputs(5)
    torch.testing.assert_close(one(images, text).logits, other(images, text).logits, rtol=1e-4, atol=1e-5)


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
