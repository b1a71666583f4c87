"""What the methods have in common, as equalities."""

import torch

from ahs_seg.methods import CatSegConfig, HClipConfig
from ahs_seg.tuners import Attention, Orthogonal
from tests.support.builders import random_backbone
from tests.support.small_methods import SMALL, inputs


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
