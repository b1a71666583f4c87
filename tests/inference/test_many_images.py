"""What happens to the results of several images when some of them fail."""

from pathlib import Path

import numpy as np
import pytest

from ahs_seg.errors import SampleError
from ahs_seg.inference.many_images import check_on_error, segment_each
from ahs_seg.inference.top_k import OutputOptionsError
from ahs_seg.io.images import ImageError, ImageSource
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.vocabulary.vocabulary import Vocabulary

EMPTY = Segmentation(
    np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32), Vocabulary.parse("cat")
)


def segment(image: ImageSource) -> Segmentation:
    if image == Path("broken.png"):
        raise ImageError("broken.png: empty")
    if image == Path("odd.png"):
        raise IndexError("7")
    return EMPTY


def test_errors_name_the_index_and_the_source_once() -> None:
    images = [Path("a.png"), Path("broken.png"), Path("odd.png")]
    first, broken, odd = segment_each(images, segment, "return")
    assert first is EMPTY
    assert str(broken) == "images[1]: broken.png: empty"
    assert str(odd) == "images[2] (odd.png): IndexError: 7"


def test_images_after_a_failure_are_still_segmented_unless_it_is_raised() -> None:
    images = [Path("broken.png"), Path("a.png")]
    assert list(segment_each(images, segment, "skip")) == [EMPTY]
    with pytest.raises(SampleError, match=r"^images\[0\]: broken\.png: empty$"):
        next(segment_each(images, segment, "raise"))


def test_on_error_is_one_of_three_words_and_for_several_images() -> None:
    check_on_error("skip", single=False)
    check_on_error("raise", single=True)
    with pytest.raises(OutputOptionsError, match="on_error='ignore'; allowed are 'raise', 'skip', 'return'"):
        check_on_error("ignore", single=False)
    with pytest.raises(OutputOptionsError, match="given with one image, whose error is always raised"):
        check_on_error("return", single=True)
