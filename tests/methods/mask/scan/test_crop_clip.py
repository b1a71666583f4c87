"""CLIP's loss for regions, of which several may have the same name."""

import math

import torch

from ahs_seg.methods.mask.scan.crop_clip import region_contrast

UNIT = torch.eye(2)


def test_different_classes_give_the_loss_of_clip() -> None:
    scale = torch.tensor(2.0)
    found = region_contrast(UNIT, UNIT, torch.tensor([0, 1]), scale)
    assert math.isclose(found.item(), math.log(1 + math.exp(-2)), rel_tol=1e-6)


def test_all_pairs_of_a_class_are_right_answers() -> None:
    regions = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = region_contrast(regions, regions, torch.tensor([5, 5, 7]), torch.tensor(1.0))
    pair = math.log(2 * math.e + 1) - 1  # one of two right answers, the third pair has similarity 0
    alone = math.log(math.e + 2) - 1
    assert math.isclose(found.item(), (2 * pair + alone) / 3, rel_tol=1e-6)


def test_no_region_gives_zero_with_a_gradient() -> None:
    regions, scale = torch.zeros(0, 4, requires_grad=True), torch.tensor(3.0, requires_grad=True)
    loss = region_contrast(regions, torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), scale)
    loss.backward()
    assert loss.item() == 0
    assert scale.grad is not None


def test_names_are_compared_with_regions_and_regions_with_names() -> None:
    """Similarities 2 0 / 1 0: the two directions differ, so that each must be there."""
    regions, names = torch.tensor([[2.0, 0.0], [1.0, 0.0]]), torch.eye(2)
    found = region_contrast(regions, names, torch.tensor([0, 1]), torch.tensor(1.0))
    rows = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(1))) / 2
    columns = (math.log(1 + math.exp(-1)) + math.log(2)) / 2
    assert math.isclose(found.item(), (rows + columns) / 2, rel_tol=1e-6)
