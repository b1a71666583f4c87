"""One image that fails: its error is raised, left out with a warning, or returned in its place."""

import numpy as np
import pytest

from ahs_seg.errors import SampleError
from ahs_seg.inference.many_images import check_on_error, segment_each
from ahs_seg.inference.top_k import OutputOptionsError
from ahs_seg.io.images import ImageSource
from ahs_seg.output.segmentation import Segmentation
from tests.support.results import made

GOOD = np.zeros((2, 2, 3), np.uint8)


def segment(image: ImageSource) -> Segmentation:
    if isinstance(image, str):
        raise SampleError(f"{image}: damaged")
    return made([[0, 1]])


def test_raising_is_at_the_image_that_fails_and_not_before() -> None:
    results = segment_each([GOOD, "a.jpg", GOOD], segment, "raise")
    assert isinstance(next(results), Segmentation)
    with pytest.raises(SampleError, match=r"images\[1\]: a\.jpg: damaged"):
        next(results)


def test_skipping_leaves_it_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    found = list(segment_each([GOOD, "a.jpg", GOOD], segment, "skip"))
    assert [type(one) for one in found] == [Segmentation, Segmentation]
    assert "left out images[1]: a.jpg: damaged" in caplog.text


def test_returning_keeps_the_places() -> None:
    first, second, third = segment_each([GOOD, "a.jpg", GOOD], segment, "return")
    assert isinstance(first, Segmentation)
    assert isinstance(second, SampleError)
    assert isinstance(second.__cause__, SampleError)
    assert isinstance(third, Segmentation)


def test_an_iterable_is_read_one_image_at_a_time() -> None:
    read: list[int] = []

    def images():
        for index in range(3):
            read.append(index)
            yield GOOD

    results = segment_each(images(), segment, "raise")
    next(results)
    assert read == [0]


@pytest.mark.parametrize(("on_error", "single"), [("skip", True), ("return", True), ("ignore", False)])
def test_choices_that_cannot_be(on_error: str, single: bool) -> None:
    with pytest.raises(OutputOptionsError, match=f"on_error='{on_error}'"):
        check_on_error(on_error, single=single)
    check_on_error("raise", single=single)
