"""The guided decoder equals its steps, class by class."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.methods.cost.decoder import GuidedDecoder
from ahs_seg.methods.cost.guidance import Guidance
from ahs_seg.modules.upsample import GuidedUpsample
from tests.support.tensors import randn
from tests.support.textbook import randomise


def decoder() -> GuidedDecoder:
    torch.manual_seed(0)
    built = GuidedDecoder(16, (32, 16), guidance_dims=(6, 4))
    randomise(built)
    return built.double()


def guidance(batch: int = 2) -> Guidance:
    return Guidance(randn(batch, 3, 3, 4), randn(batch, 6, 6, 8, seed=1), randn(batch, 4, 12, 16, seed=2))


def plainly(stage: GuidedUpsample, maps: Tensor, guide: Tensor) -> Tensor:
    """Upsample, put the guidance beside the map, and two convolutions with group norm and ReLU."""
    hidden = torch.cat([stage.up(maps), guide], 1)
    hidden = F.relu(stage.norm1(stage.conv1(hidden)))
    return F.relu(stage.norm2(stage.conv2(hidden)))


def test_logits_are_those_of_the_plain_steps() -> None:
    module, shown, maps = decoder(), guidance(), randn(2, 3, 3, 4, 16, seed=3)
    logits = module(maps, module.prepare(shown))
    assert logits.shape == (2, 3, 12, 16)
    for index in range(3):
        hidden = plainly(module.up1, maps[:, index].movedim(-1, 1), shown.fine)
        hidden = plainly(module.up2, hidden, shown.finest)
        torch.testing.assert_close(logits[:, index], module.logit(hidden)[:, 0])


def test_only_the_finer_guidance_counts() -> None:
    module, shown, maps = decoder(), guidance(), randn(2, 1, 3, 4, 16, seed=3)
    before = module(maps, module.prepare(shown))
    other = Guidance(shown.appearance + 1, shown.fine, shown.finest)
    assert torch.equal(module(maps, module.prepare(other)), before)
    for changed in (
        Guidance(shown.appearance, shown.fine + randn(2, 6, 6, 8, seed=4), shown.finest),
        Guidance(shown.appearance, shown.fine, shown.finest + randn(2, 4, 12, 16, seed=4)),
    ):
        assert not torch.allclose(module(maps, module.prepare(changed)), before)
