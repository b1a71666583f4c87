"""Numbers on a device; that nothing waits for one is tried in `contract/test_pretended_device.py`."""

import torch

from ahs_seg.modules.constants import indices_on, made_on


def test_numbers_are_those_that_a_copy_would_bring() -> None:
    values = (0.48145466, -1.0, 1 / 3)
    assert torch.equal(made_on(torch.device("cpu"), values), torch.tensor(values))


def test_indices_may_be_none_at_all() -> None:
    assert indices_on(torch.device("cpu"), (2, 0, 1)).tolist() == [2, 0, 1]
    empty = indices_on(torch.device("cpu"), ())
    assert empty.dtype == torch.long
    assert torch.arange(4.0)[empty].tolist() == []
