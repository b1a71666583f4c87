from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ahs_seg.data.base import Sample, value_of_no_class
from ahs_seg.errors import SampleError
from ahs_seg.types import IGNORE
from tests.support.drawn_images import drawn
from tests.support.shape_checks import unchecked

IMAGE = drawn(4, 6)
LABELS = np.arange(24, dtype=np.int32).reshape(4, 6) % 3 - 1


def made(image: Any, labels: Any) -> Sample:
    """The sample that somebody's own dataset makes, whose types nobody has checked."""
    with unchecked():
        return Sample(image, labels, "street 3")


@pytest.mark.parametrize(
    "image",
    [
        IMAGE / 255,
        (IMAGE / 255).astype(np.float32),
        IMAGE.astype(np.uint16) * 257,
        np.concatenate([IMAGE, np.full((4, 6, 1), 255, np.uint8)], -1),
        torch.tensor(IMAGE).permute(2, 0, 1),
        IMAGE[::-1].copy()[::-1],
        np.asfortranarray(IMAGE),
    ],
    ids=["float64", "float32", "uint16", "rgba", "tensor", "negative strides", "fortran"],
)
def test_an_image_of_any_form_becomes_rgb_as_in_a_call_of_the_segmenter(image: Any) -> None:
    sample = made(image, LABELS)
    assert np.array_equal(sample.image, IMAGE)
    assert sample.image.dtype == np.uint8
    assert sample.image.flags.c_contiguous


def test_a_grey_image_has_three_equal_channels() -> None:
    sample = made(IMAGE[..., 0], LABELS)
    assert np.array_equal(sample.image, np.repeat(IMAGE[..., :1], 3, axis=2))


@pytest.mark.parametrize("labels", [LABELS.astype(np.int64), torch.tensor(LABELS), np.asfortranarray(LABELS)])
def test_labels_of_any_integer_type_become_contiguous_32_bit_integers(labels: Any) -> None:
    sample = made(IMAGE[:, ::-1], labels)
    assert np.array_equal(sample.labels, LABELS)
    assert sample.labels.dtype == np.int32
    assert sample.labels.flags.c_contiguous
    assert IGNORE in sample.labels


def test_arrays_that_are_so_already_are_not_copied() -> None:
    sample = Sample(IMAGE, LABELS, "street 3")
    assert np.shares_memory(sample.image, IMAGE)
    assert np.shares_memory(sample.labels, LABELS)


@pytest.mark.parametrize(
    ("image", "labels", "message"),
    [
        (IMAGE.astype(np.int64), LABELS, "array of type int64; allowed are uint8, uint16 and floats in"),
        (IMAGE.astype(np.float32), LABELS, "array of type float32 with values 0 to 255; floats must lie in"),
        (IMAGE[None], LABELS, r"array of shape \(1, 4, 6, 3\); allowed are"),
        ([[1, 2]], LABELS, "cannot read an image from a list"),
        (IMAGE, LABELS / 2, r"labels of type float64; allowed are integers, .* Convert them with \.astype"),
        (IMAGE, LABELS > 0, "labels of type bool"),
        (IMAGE, LABELS[..., None], r"labels of shape \(4, 6, 1\); allowed is \(H W\)"),
        (IMAGE, LABELS[:, :5], "label map is 5x4, its image 6x4; sizes must agree"),
        (IMAGE, LABELS.astype(np.int64) + 2**32, "labels reach from 4294967295 to 4294967297"),
    ],
)
def test_what_is_no_sample_is_told_by_its_name(image: Any, labels: Any, message: str) -> None:
    with pytest.raises(SampleError, match=f"^street 3: {message}"):
        made(image, labels)


@pytest.mark.parametrize(
    ("kind", "classes", "first", "ignore", "expected"),
    [
        (np.uint8, 255, 0, None, 255),
        (np.uint8, 256, 0, None, None),
        (np.uint8, 255, 1, None, None),
        (np.uint8, 300, 0, 255, 255),
        (np.uint16, 300, 0, None, 65535),
        (np.uint16, 65535, 1, None, None),
    ],
)
def test_the_usual_value_means_no_class_unless_a_class_has_it(
    kind: type[np.unsignedinteger[Any]], classes: int, first: int, ignore: int | None, expected: int | None
) -> None:
    assert value_of_no_class(np.zeros((1, 1), kind), classes, first=first, ignore=ignore) == expected
