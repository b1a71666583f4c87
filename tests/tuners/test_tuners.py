"""Every tuner: starts as the identity, trains what it says and nothing else, merges into a plain CLIP."""

import copy

import pytest
import torch

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.tuners import Attention, Frozen, Full, Orthogonal, Tuner
from ahs_seg.tuners.orthogonal import Modulation, Rotations, cayley
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


def features(backbone: ClipBackbone) -> list[torch.Tensor]:
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


def test_matrices_follow_the_formula_element_by_element() -> None:
    rotations = Rotations({"vision": 32, "text": 16}, {"vision": 3, "text": 2}, block=8)
    with torch.no_grad():
        for parameter in rotations.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    bank, layer_mix, slot_mix = rotations.bank, rotations.layer_relations, rotations.modality_relations
    for tower, depth, slots in (("text", 2, range(2)), ("vision", 3, range(2, 6))):
        matrices = rotations.matrices(tower, depth)
        for layer in range(depth):
            for projection in range(4):
                for place, slot in enumerate(slots):
                    expected = torch.zeros(8, 8)
                    for m in range(6):
                        for row in range(12):
                            weight = slot_mix[layer, slot, m] * layer_mix[4 * layer + projection, row]
                            expected = expected + weight * bank[row, m]
                    if tower == "text":
                        skew = (expected - expected.T) / 2
                        expected = (torch.eye(8) - skew) @ torch.linalg.inv(torch.eye(8) + skew)
                    torch.testing.assert_close(matrices[layer, projection, place], expected, rtol=1e-4, atol=1e-5)


def test_weights_are_rotated_on_the_side_that_the_paper_says() -> None:
    rotations = ORTHOGONAL.apply(random_backbone()).adapter
    assert isinstance(rotations, Rotations)
    with torch.no_grad():
        rotations.bank.add_(torch.randn_like(rotations.bank) * 0.2)
    plain = random_backbone().attention_weights("vision")
    matrices = rotations.matrices("vision", 3)
    for layer, (before, after) in enumerate(zip(plain, rotations("vision", plain), strict=True)):
        blocks = [torch.block_diag(*matrices[layer, projection]) for projection in range(4)]
        torch.testing.assert_close(after.query, before.query @ blocks[0])
        torch.testing.assert_close(after.key, before.key @ blocks[1])
        torch.testing.assert_close(after.value, before.value @ blocks[2])
        torch.testing.assert_close(after.output, blocks[3] @ before.output)


def test_cayley_gives_rotations() -> None:
    rotation = cayley(torch.randn(5, 16, 16))
    identity = torch.eye(16).expand(5, -1, -1)
    torch.testing.assert_close(rotation @ rotation.mT, identity, atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(5), atol=1e-4, rtol=0)


def test_sizes_of_both_published_backbones() -> None:
    base = Rotations({"vision": 768, "text": 512}, {"vision": 12, "text": 12})
    assert base.bank.shape == (48, 10, 128, 128)
    assert sum(p.numel() for p in base.parameters()) == 7_867_824
    large = Rotations({"vision": 1024, "text": 768}, {"vision": 24, "text": 12})
    assert large.bank.shape == (96, 14, 128, 128)
    assert large.modality_relations.shape == (24, 14, 14)


def test_a_block_that_does_not_divide_the_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"vision tower is 32 wide.*block=12"):
        Orthogonal(block=12).apply(random_backbone())
