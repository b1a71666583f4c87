"""Every tuner: starts as the identity, trains what it says and nothing else, merges into a plain CLIP."""

import copy

import pytest
import torch

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.tuners import Attention, Frozen, Full, Orthogonal, Tuner
from ahs_seg.tuners.orthogonal import Modulation
from tests.support.builders import random_backbone

ORTHOGONAL = Orthogonal(block=16)
CAYLEY = Orthogonal(block=8, vision_constraint="cayley")
TABLE: list[tuple[Tuner, set[str]]] = [
    (Frozen(), set()),
    (Attention(), {"self_attn.q_proj.weight", "self_attn.v_proj.weight"}),
    (Full(), {"self_attn", "layer_norm", "mlp"}),
    (Full(stem=True), {"self_attn", "layer_norm", "mlp", "patch_embedding"}),
    (ORTHOGONAL, {"adapter.bank", "adapter.layer_relations", "adapter.modality_relations"}),
    (CAYLEY, {"adapter.bank", "adapter.layer_relations", "adapter.modality_relations"}),
    (
        Orthogonal(block=8, modulation=Modulation()),
        {"adapter.bank", "adapter.layer_relations", "adapter.modality_relations", "adapter.modulation"},
    ),
]


@pytest.fixture
def backbone() -> ClipBackbone:
    return random_backbone()


def features(backbone: Backbone) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    images = torch.rand(2, 3, 64, 64, generator=generator)
    ids = torch.randint(1, 257, (3, 7), generator=generator)
    encoded = backbone.encode_image(images, levels=(0,))
    text = backbone.encode_text(Tokens(ids, torch.tensor([6, 4, 5])))
    return [encoded.dense, encoded.levels[0], text]


@pytest.mark.parametrize(("tuner", "trained"), TABLE)
def test_starts_as_the_identity(backbone: ClipBackbone, tuner: Tuner, trained: set[str]) -> None:
    before = features(backbone)
    for one, other in zip(features(tuner.apply(backbone)), before, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("tuner", "trained"), TABLE)
def test_trains_what_it_says_and_every_part_gets_a_gradient(
    backbone: ClipBackbone, tuner: Tuner, trained: set[str]
) -> None:
    tuner.apply(backbone)
    parameters = {name: p for name, p in backbone.named_parameters() if p.requires_grad}
    assert all(any(part in name for part in trained) for name in parameters)
    for part in trained:
        assert any(part in name for name in parameters), part
    if parameters:
        outputs = features(backbone)
        (sum(output.square().sum() for output in outputs)).backward()
        assert all(p.grad is not None for p in parameters.values())


@pytest.mark.parametrize(("tuner", "trained"), TABLE)
def test_merge_gives_a_plain_clip_with_the_same_features(
    backbone: ClipBackbone, tuner: Tuner, trained: set[str]
) -> None:
    untouched = set(copy.deepcopy(backbone).state_dict())
    tuner.apply(backbone)
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
        tuned = features(backbone)
        merged = tuner.merge(backbone)
        for one, other in zip(features(merged), tuned, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert set(merged.state_dict()) == untouched
    assert merged.adapter is None
