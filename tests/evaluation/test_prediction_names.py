"""Names of predictions and names of images, with and without folders and endings."""

import pytest

from ahs_seg.errors import SampleError
from ahs_seg.evaluation.prediction_names import (
    AmbiguousPredictionsError,
    PredictionNames,
    last_part,
    without_ending,
)


def test_only_the_endings_of_images_are_no_part_of_a_name() -> None:
    assert [without_ending(name) for name in ("x/a.JPG", "v1.2", "v1.2.png", "a", "x.png/a")] == [
        "x/a",
        "v1.2",
        "v1.2",
        "a",
        "x.png/a",
    ]
    assert last_part("x/y/v1.2.tif") == "v1.2"


@pytest.mark.parametrize(
    ("names", "image", "found"),
    [
        (["a", "b"], "a.jpg", "a"),
        (["a.jpg", "b.jpg"], "a", "a.jpg"),
        (["a.jpg", "a.png"], "a.png", "a.png"),
        (["v1.2", "v1.3"], "v1.2.jpg", "v1.2"),
        (["/data/x/a.jpg", "/data/y/a.jpg"], "y/a.jpg", "/data/y/a.jpg"),
        (["/data/x/a.jpg", "/data/y/a.jpg"], "y/a", "/data/y/a.jpg"),
        (["a.jpg", "x/a.jpg"], "a", "a.jpg"),
    ],
)
def test_the_name_that_is_most_alike_is_found(names: list[str], image: str, found: str) -> None:
    assert PredictionNames(names, last_part, remedy="").find(image) == found


def test_what_cannot_be_told_apart_is_an_error() -> None:
    names = PredictionNames(["a.jpg", "a.png", "b"], last_part, remedy="Do this.")
    with pytest.raises(AmbiguousPredictionsError, match=r"image a has predictions for a\.jpg, a\.png; .* Do this"):
        names.find("a")
    assert names.find("b.jpg") == "b"
    with pytest.raises(AmbiguousPredictionsError, match=r"for b would serve the images b\.jpg and b\.png\. Do this"):
        names.find("b.png")
    with pytest.raises(SampleError, match="no prediction for c"):
        names.find("c")
