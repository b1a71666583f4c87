"""Images and labels at other sizes."""

import torch

from ahs_seg.modules.resize import nearest_labels


def test_labels_are_those_of_nearest_neighbour_resizing() -> None:
    labels = torch.randint(-1, 9, (2, 13, 20))
    expected = torch.nn.functional.interpolate(labels[:, None].float(), size=(4, 6), mode="nearest")[:, 0].long()
    assert torch.equal(nearest_labels(labels, (4, 6)), expected)
