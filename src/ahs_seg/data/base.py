"""Interface of datasets: samples of an image with its label map, and the vocabulary of the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int32, UInt8

from ahs_seg.io.protocols import ByAttribute
from ahs_seg.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Sample:
    """One RGB image and its label map; a label is an index into the vocabulary, or `IGNORE`.

    `name` identifies the sample in messages and output files; it is unique within its dataset.
    """

    image: UInt8[np.ndarray, "H W 3"]
    labels: Int32[np.ndarray, "H W"]
    name: str


@runtime_checkable
class SegmentationDataset(Protocol, metaclass=ByAttribute):
    """Dataset with deterministic samples by index, and the vocabulary that the labels refer to.

    If it also has an attribute `image_kind` ("photographs" or "drawn scenes"), a model that is trained on it says so.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """Classes of the dataset; label k is entry k."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...
