"""Matching and point losses against brute force and the plain formulas."""

from itertools import combinations, permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.methods.mask.set_loss import (
    MaskTargets,
    Match,
    MatchingCosts,
    PointSampling,
    mask_targets,
    match,
    number_of_masks,
    pairwise_bce,
    pairwise_dice,
    proposal_class_loss,
    proposal_mask_losses,
    random_source,
    sample,
)
from ahs_seg.types import IGNORE


def draw(seed: int = 0):
    return random_source(torch.Generator().manual_seed(seed), torch.device("cpu"))


def random_case(queries: int, classes: int, *, size: int = 9, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    masks = 3 * torch.randn(2, queries, size, size + 3, generator=generator)
    logits = torch.randn(2, queries, classes + 1, generator=generator)
    labels = torch.randint(-1, classes, (2, 4 * size, 4 * size + 12), generator=generator)
    return masks, logits, labels


def slow_cost(masks: Tensor, logits: Tensor, target: MaskTargets, points: Tensor, query: int, index: int) -> float:
    """The cost of one pair as the paper writes it."""
    z = sample(masks[query][None, None], points).flatten()
    y = sample(target.masks[index][None, None], points).flatten()
    s = z.sigmoid()
    label = -logits[query].softmax(0)[target.labels[index]]
    entropy = -(y * s.log() + (1 - y) * (1 - s).log()).mean()
    dice = 1 - (2 * (s * y).sum() + 1) / (s.sum() + y.sum() + 1)
    return float(2 * label + 5 * entropy + 5 * dice)


@pytest.mark.parametrize(("queries", "classes"), [(5, 3), (3, 4), (4, 4)])
def test_matching_is_the_best_of_all_assignments(queries: int, classes: int) -> None:
    masks, logits, labels = random_case(queries, classes)
    targets = mask_targets(labels, (36, 48))
    found = match(masks, logits, targets, costs=MatchingCosts(), points=50, draw=draw())
    numbers = draw()
    for image, target, chosen in zip(range(2), targets, found, strict=True):
        points = numbers((1, 50, 2))
        cost = [
            [slow_cost(masks[image], logits[image], target, points, q, n) for n in range(len(target.labels))]
            for q in range(queries)
        ]
        pairs = min(queries, len(target.labels))
        least = min(
            sum(cost[q][n] for q, n in zip(some, others, strict=True))
            for some in permutations(range(queries), pairs)
            for others in combinations(range(len(target.labels)), pairs)
        )
        ours = sum(cost[q][n] for q, n in zip(chosen.queries.tolist(), chosen.targets.tolist(), strict=True))
        assert ours == pytest.approx(least, abs=1e-4)
        assert len(chosen.queries) == pairs
        assert chosen.queries.tolist() == sorted(set(chosen.queries.tolist()))


def test_pairwise_costs_are_those_of_single_pairs() -> None:
    logits, targets = torch.randn(3, 7), torch.rand(2, 7)
    for q in range(3):
        for n in range(2):
            entropy = F.binary_cross_entropy_with_logits(logits[q], targets[n])
            torch.testing.assert_close(pairwise_bce(logits, targets)[q, n], entropy)
            s, y = logits[q].sigmoid(), targets[n]
            dice = 1 - (2 * (s * y).sum() + 1) / (s.sum() + y.sum() + 1)
            torch.testing.assert_close(pairwise_dice(logits, targets)[q, n], dice)


def test_a_cost_that_is_not_finite_is_the_last_choice() -> None:
    masks, logits, labels = random_case(4, 2)
    masks[0, 1] = float("nan")
    targets = mask_targets(labels, (36, 48))
    found = match(masks, logits, targets, costs=MatchingCosts(), points=20, draw=draw())
    assert 1 not in found[0].queries


def test_targets_are_the_classes_present_padded_like_the_image() -> None:
    labels = torch.tensor([[[0, 0, 2], [IGNORE, 2, 2]], [[IGNORE] * 3] * 2])
    first, second = mask_targets(labels, (4, 5))
    assert first.labels.tolist() == [0, 2]
    assert first.masks[0].tolist() == [[1, 1, 0, 0, 0], [0] * 5, [0] * 5, [0] * 5]
    assert first.masks[1].tolist() == [[0, 0, 1, 0, 0], [0, 1, 1, 0, 0], [0] * 5, [0] * 5]
    assert second.labels.tolist() == []
    assert second.masks.shape == (0, 4, 5)
    assert number_of_masks([first, second], None) == 2
    assert number_of_masks([second], None) == 1
    assert PointSampling() == PointSampling(points=12_544, oversample=3.0, importance=0.75)  # Mask2Former's


def test_sampling_is_bilinear_and_zero_outside() -> None:
    maps = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    points = torch.tensor([[[0.5, 0.5], [0.25, 0.25], [0.75, 0.5], [0.0, 0.25]]])
    # Centres of cells lie at 0.25 and 0.75; at x = 0 half of the first cell's weight falls outside.
    torch.testing.assert_close(sample(maps, points)[0, 0], torch.tensor([1.5, 0.0, 2.0, 0.0]))
    torch.testing.assert_close(sample(maps + 1, points[:, 3:])[0, 0], torch.tensor([0.5]))


def test_points_are_those_nearest_to_the_border_and_fresh_ones() -> None:
    ramp = torch.linspace(-4, 4, 64).expand(64, 64)[None]
    sampling = PointSampling(points=40, oversample=5.0, importance=0.75)
    points = sampling.choose(ramp, draw())
    assert points.shape == (1, 40, 2)
    numbers = draw()
    pool = numbers((1, 200, 2))[0]
    distance = sample(ramp[None], pool[None])[0, 0].abs()
    nearest = pool[distance.argsort()[:30]]
    assert {tuple(p) for p in points[0, :30].tolist()} == {tuple(p) for p in nearest.tolist()}
    torch.testing.assert_close(points[0, 30:], numbers((1, 10, 2))[0])


def test_losses_are_the_plain_formulas() -> None:
    masks, logits, labels = random_case(5, 3)
    targets = mask_targets(labels, (36, 48))
    matches = [Match(torch.tensor([0, 3]), torch.tensor([2, 0])), Match(torch.tensor([4]), torch.tensor([1]))]
    sampling = PointSampling(points=30)
    entropy, dice = proposal_mask_losses(masks, matches, targets, count=3.0, sampling=sampling, draw=draw())
    pairs = [(0, 0, 2), (0, 3, 0), (1, 4, 1)]
    chosen = torch.stack([masks[b, q] for b, q, _ in pairs])
    points = sampling.choose(chosen, draw())
    expected = torch.zeros(2)
    for row, (image, query, index) in enumerate(pairs):
        z = sample(masks[image, query][None, None], points[row][None]).flatten()
        y = sample(targets[image].masks[index][None, None], points[row][None]).flatten()
        s = z.sigmoid()
        expected[0] += F.binary_cross_entropy(s, y) / 3
        expected[1] += (1 - (2 * (s * y).sum() + 1) / (s.sum() + y.sum() + 1)) / 3
    torch.testing.assert_close(torch.stack([entropy, dice]), expected)
    wanted = torch.full((2, 5), 3)
    for image, query, index in pairs:
        wanted[image, query] = targets[image].labels[index]
    weight = torch.where(wanted == 3, 0.1, 1.0)
    log_odds = logits.log_softmax(-1).gather(-1, wanted[..., None])[..., 0]
    loss = proposal_class_loss(logits, matches, targets, no_object_weight=0.1)
    torch.testing.assert_close(loss, -(weight * log_odds).sum() / weight.sum())


def test_a_batch_without_targets_has_no_mask_loss_and_a_gradient_of_zero() -> None:
    masks, logits, labels = random_case(4, 3)
    masks.requires_grad_()
    targets = mask_targets(torch.full_like(labels, IGNORE), (36, 48))
    matches = match(masks, logits, targets, costs=MatchingCosts(), points=10, draw=draw())
    assert [len(found.queries) for found in matches] == [0, 0]
    entropy, dice = proposal_mask_losses(
        masks, matches, targets, count=number_of_masks(targets, None), sampling=PointSampling(points=8), draw=draw()
    )
    assert entropy.item() == dice.item() == 0
    (entropy + dice).backward()
    assert masks.grad is not None
    assert not masks.grad.any()
    expected = -logits.log_softmax(-1)[..., -1].mean()
    torch.testing.assert_close(proposal_class_loss(logits, matches, targets, no_object_weight=0.1), expected)


def test_the_generator_alone_decides_the_points() -> None:
    assert torch.equal(draw(1)((2, 3)), draw(1)((2, 3)))
    assert not torch.equal(draw(1)((2, 3)), draw(2)((2, 3)))


def test_losses_are_divided_by_the_masks_of_one_process() -> None:
    """Gradients are averaged over processes; with 4 masks here and 2 there, each divides by 3."""
    targets = [MaskTargets(torch.arange(4), torch.zeros(4, 2, 2))]
    assert number_of_masks(targets, 3.0) == 3
    assert number_of_masks(targets, 0.5) == 1
