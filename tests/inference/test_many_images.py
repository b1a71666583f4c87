"""One image that fails: its error is raised, left out with a warning, or returned in its place."""

from collections.abc import Sequence

import numpy as np
import pytest

from ahs_seg.errors import SampleError
from ahs_seg.inference.many_images import check_batch_size, check_on_error, segment_each
from ahs_seg.inference.top_k import OutputOptionsError
from ahs_seg.io.images import ImageSource
from ahs_seg.output.segmentation import Segmentation
from tests.support.results import made
from tests.support.shape_checks import unchecked

GOOD = np.zeros((2, 2, 3), np.uint8)


def read(image: ImageSource) -> ImageSource:
    if isinstance(image, str):
        raise SampleError(f"{image}: damaged")
    return image


def segment(images: Sequence[ImageSource]) -> list[Segmentation]:
    return [made([[0, 1]]) for _ in images]


def test_raising_is_at_the_image_that_fails_and_not_before() -> None:
    results = segment_each([GOOD, "a.jpg", GOOD], read, segment, "raise")
    assert isinstance(next(results), Segmentation)
    with pytest.raises(SampleError, match=r"images\[1\]: a\.jpg: damaged"):
        next(results)


def test_skipping_leaves_it_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    found = list(segment_each([GOOD, "a.jpg", GOOD], read, segment, "skip"))
    assert [type(one) for one in found] == [Segmentation, Segmentation]
    assert "left out images[1]: a.jpg: damaged" in caplog.text


def test_returning_keeps_the_places() -> None:
    first, second, third = segment_each([GOOD, "a.jpg", GOOD], read, segment, "return")
    assert isinstance(first, Segmentation)
    assert isinstance(second, SampleError)
    assert isinstance(second.__cause__, SampleError)
    assert isinstance(third, Segmentation)


def test_an_iterable_is_read_one_image_at_a_time() -> None:
    taken: list[int] = []

    def images():
        for index in range(3):
            taken.append(index)
            yield GOOD

    results = segment_each(images(), read, segment, "raise")
    next(results)
    assert taken == [0]
    assert len(list(segment_each(images(), read, segment, "raise", batch_size=2))) == 3


def test_batches_run_together_in_order_and_without_the_images_that_cannot_be_read() -> None:
    batches: list[int] = []

    def counted(images: Sequence[ImageSource]) -> list[Segmentation]:
        batches.append(len(images))
        return segment(images)

    found = list(segment_each([GOOD, "a.jpg", GOOD, GOOD, GOOD], read, counted, "return", batch_size=3))
    assert batches == [2, 2]
    assert [isinstance(one, SampleError) for one in found] == [False, True, False, False, False]


def test_a_batch_that_fails_costs_the_image_that_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    def fails(images: Sequence[ImageSource]) -> list[Segmentation]:
        if any(isinstance(image, np.ndarray) and image.max() for image in images):
            raise MemoryError
        return segment(images)

    bad = np.ones((2, 2, 3), np.uint8)
    first, second, third = segment_each([GOOD, bad, GOOD], read, fails, "return", batch_size=3)
    assert isinstance(first, Segmentation)
    assert isinstance(third, Segmentation)
    assert str(second).startswith("images[1]: not enough memory for this image")

    def ends(images: Sequence[ImageSource]) -> list[Segmentation]:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        list(segment_each([GOOD, GOOD], read, ends, "skip", batch_size=2))


def test_a_batch_has_at_least_one_image() -> None:
    check_batch_size(1)
    with pytest.raises(OutputOptionsError, match="batch_size=0; give the number of images"):
        check_batch_size(0)
    with unchecked(), pytest.raises(OutputOptionsError, match="batch_size='2'; give the number of images"):
        check_batch_size("2")  # type: ignore[arg-type]  # as a caller gives it


@pytest.mark.parametrize(("on_error", "single"), [("skip", True), ("return", True), ("ignore", False)])
def test_choices_that_cannot_be(on_error: str, single: bool) -> None:
    with pytest.raises(OutputOptionsError, match=f"on_error='{on_error}'"):
        check_on_error(on_error, single=single)
    check_on_error("raise", single=single)
