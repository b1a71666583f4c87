"""What every dataset gives: pictures, their labels, and the words for the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int32, UInt8

from ahs_seg.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture (RGB) and the label of every pixel: an index into the vocabulary, or `IGNORE`.

    `name` is what messages and output files call it; it is unique within its dataset.
    """

    image: UInt8[np.ndarray, "H W 3"]
    labels: Int32[np.ndarray, "H W"]
    name: str


@runtime_checkable
class SegmentationDataset(Protocol):
    """Samples by index, the same sample for the same index, and the vocabulary their labels refer to."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The classes; label k is entry k."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...
