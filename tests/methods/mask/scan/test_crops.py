"""Masked crops of single proposals."""

import torch

from ahs_seg.methods.mask.scan.crops import bounding_boxes, cut_regions, random_sub_boxes


def test_boxes_are_tight_and_end_after_the_last_pixel() -> None:
    masks = torch.zeros(3, 5, 7, dtype=torch.bool)
    masks[0, 1:3, 2:6] = True
    masks[1, 4, 6] = True
    masks[2] = True
    assert bounding_boxes(masks).tolist() == [[2, 1, 6, 3], [6, 4, 7, 5], [0, 0, 7, 5]]


def test_a_crop_is_zero_outside_of_the_mask() -> None:
    image = torch.ones(3, 8, 8)
    masks = torch.zeros(1, 8, 8, dtype=torch.bool)
    masks[0, 2:4, 2:4] = True
    masks[0, 3, 3] = False
    regions = cut_regions(image, masks, 2)
    assert regions.boxes.tolist() == [[2, 2, 4, 4]]
    assert regions.masks.tolist() == [[[True, True], [True, False]]]
    assert torch.equal(regions.pixels, regions.masks[:, None].expand(-1, 3, -1, -1).float())


def test_a_patch_is_foreground_if_any_of_its_pixels_is() -> None:
    image = torch.ones(3, 8, 8)
    masks = torch.zeros(1, 8, 8, dtype=torch.bool)
    masks[0, 0, 0] = masks[0, 7, 7] = True
    assert cut_regions(image, masks, 8).foreground(4).tolist() == [[True, False, False, True]]


def test_no_mask_gives_no_crop() -> None:
    regions = cut_regions(torch.ones(3, 6, 6), torch.zeros(0, 6, 6, dtype=torch.bool), 4)
    assert regions.pixels.shape == (0, 3, 4, 4)
    assert regions.foreground(2).shape == (0, 4)


def test_shrunk_boxes_lie_within_and_keep_the_minimum_area() -> None:
    torch.manual_seed(0)
    boxes = torch.tensor([[10, 20, 110, 70]]).expand(200, 4)
    found = random_sub_boxes(boxes, 0.81)
    assert (found[:, :2] >= boxes[:, :2]).all()
    assert (found[:, 2:] <= boxes[:, 2:]).all()
    size = found[:, 2:] - found[:, :2]
    assert (size[:, 0] >= 90).all()
    assert (size[:, 1] >= 45).all()
    assert len(found.unique(dim=0)) > 50
    assert torch.equal(random_sub_boxes(boxes, 1.0), boxes)
    assert torch.equal(random_sub_boxes(torch.tensor([[3, 4, 4, 5]]), 0.1), torch.tensor([[3, 4, 4, 5]]))
