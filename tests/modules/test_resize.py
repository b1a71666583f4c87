"""Sizes and labels after resizing, against values worked out by hand and PyTorch's own rule."""

import pytest
import torch
import torch.nn.functional as F

from ahs_seg.modules.resize import nearest_labels, resize, resize_in_proportion, shortest_edge_size


@pytest.mark.parametrize(
    ("size", "shortest", "longest", "expected"),
    [
        ((333, 500), 640, 2560, (640, 961)),
        ((500, 333), 640, 2560, (961, 640)),
        ((427, 640), 640, 2560, (640, 959)),
        ((1000, 20000), 640, 2560, (128, 2560)),
        ((1, 20000), 640, 2560, (1, 2560)),
        ((1, 1), 640, 2560, (640, 640)),
        ((96, 96), 640, 2560, (640, 640)),
        ((480, 640), 384, 1333, (384, 512)),
        ((640, 480), 384, 1333, (512, 384)),
        ((427, 640), 384, 1333, (384, 576)),
        ((100, 500), 384, 1333, (267, 1333)),
        ((1, 20000), 384, 1333, (1, 1333)),
        ((900, 900), 384, 200, (200, 200)),
    ],
)
def test_the_shortest_edge_rule_follows_detectron2(
    size: tuple[int, int], shortest: int, longest: int, expected: tuple[int, int]
) -> None:
    assert shortest_edge_size(size, shortest, longest) == expected


def test_images_of_the_wanted_size_are_returned_as_they_are() -> None:
    images = torch.rand(1, 3, 8, 8)
    assert resize(images, 8) is images
    expected = F.interpolate(images, size=(5, 5), mode="bilinear", align_corners=False)
    torch.testing.assert_close(resize(images, 5), expected)


def test_labels_are_those_of_nearest_neighbour_resizing() -> None:
    labels = torch.randint(-1, 150, (2, 427, 640), generator=torch.Generator().manual_seed(0))
    for size in ((24, 24), (100, 640), (500, 700)):
        expected = F.interpolate(labels[:, None].double(), size=size, mode="nearest")[:, 0]
        assert torch.equal(nearest_labels(labels, size), expected.long())


@pytest.mark.parametrize(
    ("size", "expected"),
    [((64, 64), (64, 64)), ((90, 120), (64, 88)), ((120, 90), (88, 64)), ((10, 400), (8, 256)), ((3, 3), (64, 64))],
)
def test_resizing_in_proportion_fits_the_patches(size: tuple[int, int], expected: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    found = resize_in_proportion(images, 64, multiple=8)
    assert found.shape[-2:] == expected
    assert found is images or torch.equal(found, F.interpolate(images, expected, mode="bilinear"))
