"""Interface of datasets: samples of an image with its label map, and the vocabulary of the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int32, Shaped, UInt, UInt8
from torch import Tensor

from ahs_seg.errors import SampleError
from ahs_seg.io.images import read_image
from ahs_seg.io.pixels import ImageError
from ahs_seg.io.protocols import ByAttribute
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Sample:
    """One RGB image and its label map; a label is an index into the vocabulary, or `IGNORE`.

    The image may be given as anything that `read_image` takes, such as floats in [0, 1] or a tensor, and labels of any
    integer type; both become contiguous arrays of the types below, without a copy if they are so already. `name`
    identifies the sample in messages and output files; it is unique within its dataset.

    Raises:
        SampleError: the image cannot be read, the labels are no map of 32-bit integers, or their sizes differ.
    """

    image: UInt8[np.ndarray, "H W 3"]
    labels: Int32[np.ndarray, "H W"]
    name: str

    def __post_init__(self) -> None:
        try:
            image = read_image(self.image)
        except ImageError as error:
            raise SampleError(f"{self.name}: {error}") from None
        labels = _label_map(self.labels, self.name)
        (height, width), (rows, columns) = image.shape[:2], labels.shape
        if (height, width) != (rows, columns):
            raise SampleError(
                f"{self.name}: label map is {columns}x{rows}, its image {width}x{height}; sizes must agree."
            )
        object.__setattr__(self, "image", image)
        object.__setattr__(self, "labels", labels)


@runtime_checkable
class SegmentationDataset(Protocol, metaclass=ByAttribute):
    """Dataset with deterministic samples by index, and the vocabulary that the labels refer to.

    If it also has an attribute `image_kind` ("photographs" or "drawn scenes"), a model that is trained on it says so.
    If samples are read from files, `file_state(index)` may give a text that changes with those of a sample (its name,
    their sizes and times of change); an evaluation with a journal counts such samples anew.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """Classes of the dataset; label k is entry k."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


def value_of_no_class(
    values: UInt[np.ndarray, "H W"], classes: int, *, first: int = 0, ignore: int | None = None
) -> int | None:
    """Value of pixels without a class in a stored label map whose classes have the values from `first` on.

    It is `ignore` if that is given; by default 255 in 8-bit and 65535 in 16-bit label maps, or none (None) if a class
    has this value.
    """
    if ignore is not None:
        return ignore
    usual = int(np.iinfo(values.dtype).max)
    return usual if usual >= first + classes else None


def _label_map(values: Shaped[np.ndarray, "*_"] | Tensor, name: str) -> Int32[np.ndarray, "H W"]:
    """Labels of any integer type as a contiguous array of 32-bit integers.

    Raises:
        SampleError: they have another type or shape, or are too large.
    """
    given = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if not np.issubdtype(given.dtype, np.integer):
        raise SampleError(
            f"{name}: labels of type {given.dtype}; allowed are integers, the index of a class or {IGNORE} for each "
            "pixel. Convert them with .astype(np.int32)."
        )
    if given.ndim != 2:
        raise SampleError(
            f"{name}: labels of shape {given.shape}; allowed is (H W), one label for each pixel of the image."
        )
    labels = np.ascontiguousarray(given, np.int32)
    if given.dtype != np.int32 and not np.array_equal(labels, given):
        raise SampleError(
            f"{name}: labels reach from {given.min()} to {given.max()}; allowed are indices of classes, and {IGNORE} "
            "for pixels without a class."
        )
    return labels
