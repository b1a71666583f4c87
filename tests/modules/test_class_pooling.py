"""From rows of a text to classes."""

import torch

from ahs_seg.modules.class_pooling import mean_of_rows, of_classes


def test_a_class_of_several_rows_has_its_best() -> None:
    logits = torch.tensor([[[1.0, 5.0, 2.0, 3.0, 0.5]]])
    owner = torch.tensor([0, 0, 1, 2])
    assert of_classes(logits, owner).tolist() == [[[5.0, 2.0, 3.0, 0.5]]]
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    torch.testing.assert_close(mean_of_rows(rows, torch.tensor([0, 0, 1]))[0], torch.tensor([0.5**0.5, 0.5**0.5]))
