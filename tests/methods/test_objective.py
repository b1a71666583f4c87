"""The segmentation loss against values worked out by hand and against the plain formula."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.methods import objective
from ahs_seg.methods.objective import SegmentationObjective, segmentation_loss
from ahs_seg.types import IGNORE


def test_values_worked_out_by_hand() -> None:
    logits = torch.tensor([[[[2.0]], [[-1.0]]]])
    labels = torch.tensor([[[0]]])
    # -log sigmoid(2) = log(1 + e^-2); -log(1 - sigmoid(-1)) = log(1 + e^-1)
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    assert segmentation_loss(logits, labels).item() == pytest.approx(expected, rel=1e-6)
    ignored = torch.tensor([[[IGNORE]]])
    nothing = (math.log1p(math.exp(2)) + math.log1p(math.exp(-1))) / 2
    assert segmentation_loss(logits, ignored).item() == pytest.approx(nothing, rel=1e-6)
    assert segmentation_loss(logits, ignored, ignore_as_negative=False).item() == 0
    assert SegmentationObjective().ignore_as_negative  # as CAT-Seg


@pytest.mark.parametrize("ignore_as_negative", [True, False])
@pytest.mark.parametrize("classes_at_once", [1, 2, 5])
def test_equals_binary_cross_entropy_of_one_hot_targets(ignore_as_negative: bool, classes_at_once: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(2, 5, 6, 7, generator=generator, dtype=torch.float64) * 4).float().requires_grad_()
    labels = torch.randint(-1, 5, (2, 12, 13), generator=generator)
    resized = F.interpolate(logits, size=(12, 13), mode="bilinear", align_corners=False)
    target = torch.stack([labels == index for index in range(5)], 1).float()
    each = F.binary_cross_entropy_with_logits(resized, target, reduction="none")
    valid = torch.ones_like(labels, dtype=torch.bool) if ignore_as_negative else labels != IGNORE
    expected = each.permute(0, 2, 3, 1)[valid].mean()
    budget = classes_at_once * 4 * labels.numel()
    ours = segmentation_loss(logits, labels, ignore_as_negative=ignore_as_negative, budget=budget)
    torch.testing.assert_close(ours, expected)
    gradients = [torch.autograd.grad(value, logits, retain_graph=True)[0] for value in (ours, expected)]
    torch.testing.assert_close(gradients[0], gradients[1])


@torch.no_grad()
@pytest.mark.parametrize("ignore_as_negative", [True, False])
def test_chunks_without_gradients_know_which_classes_they_hold(ignore_as_negative: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    logits, labels = torch.randn(1, 5, 3, 3, generator=generator), torch.tensor([[[4, 3, 2], [1, 0, -1], [4, 4, 3]]])
    whole = segmentation_loss(logits, labels, ignore_as_negative=ignore_as_negative)
    parts = segmentation_loss(logits, labels, ignore_as_negative=ignore_as_negative, budget=2 * 4 * labels.numel())
    torch.testing.assert_close(parts, whole)


@pytest.mark.parametrize(("at_once", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_as_many_classes_are_resized_at_once_as_the_budget_holds(
    monkeypatch: pytest.MonkeyPatch, at_once: int, sizes: list[int]
) -> None:
    seen: list[int] = []
    chunk_loss = objective._chunk_loss

    def counted(part: Tensor, *rest: Any) -> Tensor:
        seen.append(part.shape[1])
        return chunk_loss(part, *rest)

    monkeypatch.setattr(objective, "_chunk_loss", counted)
    logits, labels = torch.zeros(1, 5, 3, 3, requires_grad=True), torch.zeros(1, 6, 7, dtype=torch.int64)
    segmentation_loss(logits, labels, budget=at_once * 4 * 6 * 7)
    assert seen == sizes
