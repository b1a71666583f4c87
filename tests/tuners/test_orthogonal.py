"""Rotations with relations across layers: their matrices and the side on which they turn weights."""

from typing import Literal

import pytest
import torch

from ahs_seg.tuners import Orthogonal
from ahs_seg.tuners.orthogonal import Rotations, cayley
from tests.support.builders import random_backbone

ORTHOGONAL = Orthogonal(block=16)


def test_matrices_follow_the_formula_element_by_element() -> None:
    rotations = Rotations({"vision": 32, "text": 16}, {"vision": 3, "text": 2}, block=8)
    with torch.no_grad():
        for parameter in rotations.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    bank, layer_mix, slot_mix = rotations.bank, rotations.layer_relations, rotations.modality_relations
    cases: list[tuple[Literal["vision", "text"], int, range]] = [("text", 2, range(2)), ("vision", 3, range(2, 6))]
    for tower, depth, slots in cases:
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
