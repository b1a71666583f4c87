"""Dynamic projection (DC-HSP): the space of the comparison, and its two losses."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from ahs_seg.methods.cost.parts.projection import ProjectionConfig, contrastive_loss, hierarchy_loss, relation_margins
from ahs_seg.types import IGNORE
from tests.support.tensors import randn


@torch.no_grad()
def test_projection_starts_as_the_identity_and_gives_unit_vectors() -> None:
    torch.manual_seed(0)
    projection = ProjectionConfig(rank=4).build(16).eval()
    maps, text = torch.randn(2, 16, 3, 3), torch.randn(5, 2, 16)
    torch.testing.assert_close(projection.image(maps), F.normalize(maps, dim=1))
    torch.testing.assert_close(projection.text(text), F.normalize(text, dim=-1))
    for parameter in projection.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.3)
    torch.testing.assert_close(projection.image(maps).norm(dim=1), torch.ones(2, 3, 3))
    torch.testing.assert_close(projection.text(text).norm(dim=-1), torch.ones(5, 2))


@torch.no_grad()
def test_words_are_projected_by_their_own_matrix() -> None:
    """P_i = P_base + c_i s B A, written out for every word."""
    torch.manual_seed(0)
    projection = ProjectionConfig(rank=3, hidden=(8, 4)).build(6).eval()
    for parameter in projection.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.5)
    words = F.normalize(torch.randn(4, 6), dim=-1)
    complexity = projection.complexity(words)
    assert ((complexity > 0) & (complexity < 1)).all()
    assert complexity.std() > 0
    dynamic = projection.scale * projection.up.weight @ projection.down.weight
    for word, share, ours in zip(words, complexity, projection.text(3 * words), strict=True):
        expected = F.normalize((projection.text_base.weight + share * dynamic) @ word, dim=0)
        torch.testing.assert_close(ours, expected)


@torch.no_grad()
def test_with_identity_bases_only_the_dynamic_term_is_left() -> None:
    """P_i = I + c_i s B A for words, and patch features as they are."""
    torch.manual_seed(0)
    projection = ProjectionConfig.parse({"setting": "tuned", "rank": 3, "hidden": (8, 4)}).build(6).eval()
    assert not [name for name, _ in projection.named_parameters() if "base" in name]
    for parameter in projection.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.5)
    maps, words = torch.randn(2, 6, 3, 3), F.normalize(torch.randn(4, 6), dim=-1)
    assert torch.equal(projection.image(maps), F.normalize(F.normalize(maps, dim=1), dim=1))
    dynamic = projection.scale * projection.up.weight @ projection.down.weight
    for word, share, ours in zip(words, projection.complexity(words), projection.text(words), strict=True):
        torch.testing.assert_close(ours, F.normalize((torch.eye(6) + share * dynamic) @ word, dim=0))


@torch.no_grad()
def test_words_and_complexities_are_those_of_full_precision_under_autocast() -> None:
    torch.manual_seed(0)
    projection, words = ProjectionConfig(rank=4, hidden=(8, 4)).build(16).eval(), torch.randn(5, 2, 16)
    projection.text_base.weight.diagonal().add_(1e-3 * torch.randn(16))  # less than bf16 can tell from the identity
    plain, complexity = projection.text(words), projection.complexity(words)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(projection.text(words), plain)
        assert torch.equal(projection.complexity(words), complexity)


def test_contrastive_by_hand() -> None:
    """Means e1 and (e1 + e2)/sqrt 2 against words e1 and e2, temperature 0.1; the ignored cell has no part."""
    features = torch.zeros(1, 2, 2, 2)
    features[0, 0] = torch.tensor([[3.0, 1.0], [0.0, -5.0]])
    features[0, 1] = torch.tensor([[0.0, 0.0], [2.0, -5.0]])
    labels = torch.tensor([[[4, 1], [1, IGNORE]]])
    text = torch.zeros(5, 2)
    text[4], text[1] = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 1.0])
    diagonal = math.log(2)  # the mean of class 1 is as near to both
    expected = (math.log1p(math.exp(-10)) + diagonal) / 2
    assert contrastive_loss(features, labels, text).item() == pytest.approx(expected, rel=1e-5)


def test_contrastive_of_one_class_is_zero() -> None:
    labels = torch.tensor([[[1, 1], [IGNORE, 1]]])
    assert contrastive_loss(torch.randn(1, 2, 2, 2), labels, torch.randn(3, 2)).item() == 0


def test_margins_follow_super_categories() -> None:
    labels = ["cat", "wall-other", "dog", "wall-brick", "odd", "wall-stone"]
    margins = relation_margins(labels, ["animal", "wall", "animal", "wall", None, "wall"])
    expected = torch.zeros(6, 6)
    expected[0, 2] = expected[3, 5] = 0.5
    expected[1, 3] = expected[1, 5] = 0.3
    assert torch.equal(margins, expected + expected.T)


def test_hierarchy_by_hand() -> None:
    text = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 3.0]])
    margins = torch.tensor([[0.0, 0.5, 0.3], [0.5, 0.0, 0.0], [0.3, 0.0, 0.0]])
    expected = (abs(1 - 0.5) + abs(1 - math.sqrt(0.5) - 0.3)) / 2
    assert hierarchy_loss(text, margins).item() == pytest.approx(expected, rel=1e-5)
    assert hierarchy_loss(text, torch.zeros(3, 3)).item() == 0


def test_gradients_of_the_projection_losses_are_differences() -> None:
    labels = torch.tensor([[[0, 0, 1, 1], [0, 2, 2, 1], [0, 2, IGNORE, 1], [0, 0, 1, 1]]])
    features, text = randn(1, 5, 4, 4).requires_grad_(), randn(3, 5, seed=2).requires_grad_()
    assert gradcheck(lambda f, t: contrastive_loss(f, labels, t), (features, text))
    margins = relation_margins(["a", "b", "c"], ["x", "x", "x"]).double()
    assert gradcheck(lambda t: hierarchy_loss(t, margins), text)
