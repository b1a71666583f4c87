"""What methods of the mask family share: padding, the coarse answer, and losses of every prediction."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ahs_seg.backbones.conv_pyramid import ConvPyramid
from ahs_seg.config import ConfigError
from ahs_seg.methods.mask.predictions import QueryPrediction
from ahs_seg.methods.mask.proposals import (
    ClassTerm,
    MaskFeatures,
    ProposalLossConfig,
    coarse_scores,
    padded,
    padded_size_of,
    proposal_output,
    supervise,
)
from ahs_seg.methods.mask.set_loss import RandomSource, mask_targets, proposal_class_loss, random_source
from ahs_seg.types import IGNORE, ClassText, MaskProposals

SURE = 100.0


@pytest.mark.parametrize(("size", "padded_size"), [((64, 96), (64, 96)), ((1, 65), (32, 96)), ((33, 32), (64, 32))])
def test_images_are_padded_to_whole_cells_right_and_below(size: tuple[int, int], padded_size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size)
    assert padded_size_of(images, ConvPyramid((4, 4, 4, 4))) == padded_size
    larger = padded(images, padded_size)
    assert larger.shape == (2, 3, *padded_size)
    assert torch.equal(larger[:, :, : size[0], : size[1]], images)
    assert larger.sum().item() == pytest.approx(images.sum().item(), rel=1e-5)


def two_masks() -> MaskProposals:
    """The left half and the whole of an image; the first is class 0 with 0.8, the second class 1 with 0.5."""
    left = torch.full((4, 4), -SURE)
    left[:, :2] = SURE
    masks = torch.stack([left, torch.full((4, 4), SURE)])[None]
    return MaskProposals(masks, torch.tensor([[[0.8, 0.0], [0.1, 0.5]]]), (16, 16), (16, 16))


def test_coarse_scores_by_hand() -> None:
    scores = coarse_scores(two_masks(), (4, 4))
    # Two masks on the left: the mean of their scores. One on the right: its own.
    torch.testing.assert_close(scores[0, 0, 0], torch.tensor([0.45, 0.45, 0.1, 0.1]))
    torch.testing.assert_close(scores[0, 1, 0], torch.tensor([0.25, 0.25, 0.5, 0.5]))


def test_where_no_mask_is_scores_are_small_and_not_divided_by_nothing() -> None:
    proposals = MaskProposals(torch.full((1, 2, 4, 4), -SURE), torch.ones(1, 2, 3), (16, 16), (16, 16))
    assert coarse_scores(proposals, (2, 2)).max() < 1e-6


def test_the_answer_has_the_last_prediction_and_logarithms_of_its_coarse_scores() -> None:
    proposals = two_masks()
    states, dense = torch.zeros(1, 2, 5), torch.zeros(1, 6, 4, 4)
    predictions = (QueryPrediction(states, torch.zeros(1, 2, 4, 4)), QueryPrediction(states, proposals.masks))
    features = MaskFeatures(dense=dense, predictions=predictions, padded_size=(16, 16), size=(16, 14))
    words = ClassText(torch.zeros(2, 1, 6), torch.zeros(2, 1, 6))
    output = proposal_output(features, proposals.classes, words, dense)
    assert output.proposals is not None
    assert (output.proposals.padded_size, output.proposals.size) == ((16, 16), (16, 14))
    torch.testing.assert_close(output.logits.exp(), coarse_scores(proposals, (4, 4)))
    nothing = proposal_output(features, torch.zeros(1, 2, 2), words, dense)
    assert nothing.logits.isfinite().all()


def case(predictions: int) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Masks and class logits of some predictions of four queries, and labels of two classes."""
    generator = torch.Generator().manual_seed(0)
    masks = [torch.randn(2, 4, 8, 8, generator=generator) for _ in range(predictions)]
    logits = [torch.randn(2, 4, 3, generator=generator) for _ in range(predictions)]
    return masks, logits, torch.randint(0, 2, (2, 32, 32), generator=generator)


def losses(masks: list[Tensor], logits: list[Tensor], labels: Tensor, **weights: Any) -> dict[str, Tensor]:
    config = ProposalLossConfig(points=16, **weights)
    found, _ = supervise(masks, {"label": ClassTerm(logits, 2.0)}, mask_targets(labels, (32, 32)), config, draw())
    return found


def draw() -> RandomSource:
    return random_source(torch.Generator().manual_seed(0), torch.device("cpu"))


def test_every_prediction_has_losses_and_the_last_ones_have_no_suffix() -> None:
    masks, logits, labels = case(3)
    found = losses(masks, logits, labels)
    assert set(found) == {f"{name}{suffix}" for name in ("label", "mask", "dice") for suffix in ("", "_0", "_1")}
    alone = losses(masks[-1:], logits[-1:], labels)  # the last one draws its points first
    assert all(torch.equal(found[name], alone[name]) for name in ("label", "mask", "dice"))


def test_weights_scale_their_losses_only() -> None:
    masks, logits, labels = case(1)
    one, other = losses(masks, logits, labels), losses(masks, logits, labels, mask=10.0, dice=0.0)
    torch.testing.assert_close(other["mask"], 2 * one["mask"])
    assert other["dice"] == 0
    assert torch.equal(other["label"], one["label"])


def test_the_weight_of_a_term_scales_its_loss() -> None:
    masks, logits, labels = case(1)
    targets, config = mask_targets(labels, (32, 32)), ProposalLossConfig(points=16)
    one, other = (supervise(masks, {"label": ClassTerm(logits, w)}, targets, config, draw())[0] for w in (2.0, 3.0))
    torch.testing.assert_close(other["label"], 1.5 * one["label"])
    _, matches = supervise(masks, {"label": ClassTerm(logits, 1.0)}, targets, config, draw())
    plain = proposal_class_loss(logits[0], matches, targets, no_object_weight=config.void_weight)
    torch.testing.assert_close(one["label"], 2 * plain)
    assert torch.equal(other["mask"], one["mask"])


def test_the_first_term_decides_the_matching() -> None:
    masks, logits, labels = case(1)
    targets = mask_targets(labels, (32, 32))
    sure = torch.full((2, 4, 3), -SURE)
    sure[:, 1, 0] = sure[:, 3, 1] = sure[:, [0, 2], 2] = SURE  # query 1 says class 0, query 3 class 1
    decisive = ProposalLossConfig(points=16, label_cost=1000.0)
    terms = {"first": ClassTerm([sure], 1.0), "second": ClassTerm(logits, 1.0)}
    _, matches = supervise(masks, terms, targets, decisive, draw())
    assert [match.queries.tolist() for match in matches] == [[1, 3]] * 2
    backwards = dict(reversed(terms.items()))
    _, others = supervise(masks, backwards, targets, decisive, draw())
    assert [match.queries.tolist() for match in others] != [[1, 3]] * 2


def test_a_batch_without_labels_has_class_losses_alone() -> None:
    masks, logits, labels = case(2)
    found = losses(masks, logits, torch.full_like(labels, IGNORE))
    assert {name for name, value in found.items() if value > 0} == {"label", "label_0"}


def test_the_weights_are_those_of_mask2former() -> None:
    weights = {"mask": 5.0, "dice": 5.0, "label_cost": 2.0, "mask_cost": 5.0, "dice_cost": 5.0}
    points = {"points": 12_544, "oversample": 3.0, "importance": 0.75}
    assert {**dict(ProposalLossConfig()), **weights, **points, "void_weight": 0.1} == dict(ProposalLossConfig())


def test_points_are_chosen_from_at_least_as_many() -> None:
    with pytest.raises(ConfigError, match=r"oversample.*greater than or equal to 1"):
        ProposalLossConfig(points=100, oversample=0.5)
    masks, logits, labels = case(1)
    config = ProposalLossConfig(points=100, oversample=1.0, importance=1.0)
    losses, _ = supervise(masks, {"label": ClassTerm(logits, 1.0)}, mask_targets(labels, (32, 32)), config, draw())
    assert losses["mask"].isfinite()
