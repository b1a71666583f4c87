"""The structure loss by hand."""

import pytest
import torch

from ahs_seg.methods.mask.ebseg.structure_loss import similarity_structure_loss
from ahs_seg.methods.mask.set_loss import Match, mask_targets
from ahs_seg.types import IGNORE


def test_structure_loss_by_hand() -> None:
    labels = torch.tensor([[[0, 0, 2]], [[IGNORE] * 3]])
    targets = mask_targets(labels, (1, 3))
    matches = [
        Match(torch.tensor([1, 2]), torch.tensor([1, 0])),
        Match(torch.tensor([]).long(), torch.tensor([]).long()),
    ]
    embeddings = torch.tensor([[[9.0, 9.0], [2.0, 0.0], [1.0, 1.0]]] * 2)
    text = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    # Products 4, 2, 2, 2; cosines of classes 2 and 0: 1, 0.6, 0.6, 1. The second image does not count.
    expected = (9 + 2 * 1.4**2 + 1) / 4
    assert similarity_structure_loss(embeddings, text, matches, targets).item() == pytest.approx(expected)
    assert similarity_structure_loss(embeddings[1:], text, matches[1:], targets[1:]).item() == 0
