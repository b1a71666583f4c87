"""Objects that pass on to others; from Python 3.12 on, `isinstance` alone does not see what they have."""

from __future__ import annotations

from typing import Any

import pytest

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.experiments.train import checked
from tests.support.training import TinyDataset


class Passing:
    """Has what its object has; the methods that Python looks for in classes are its own."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> Any:
        return self.inner[index]


def test_a_dataset_that_passes_on_is_one() -> None:
    dataset = Passing(TinyDataset())
    assert isinstance(dataset, SegmentationDataset)
    assert checked(dataset) is dataset


@pytest.mark.parametrize("other", [object(), [1, 2], Passing([1, 2])])
def test_what_lacks_an_attribute_is_none(other: object) -> None:
    assert not isinstance(other, SegmentationDataset)
