"""Segmentation of several images, with a choice of what happens to images that fail."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict, get_args

from ahs_seg.errors import SampleError
from ahs_seg.inference.top_k import OutputOptionsError
from ahs_seg.io.failures import ends_run, reason_of
from ahs_seg.io.images import ImageSource
from ahs_seg.output.segmentation import Segmentation

logger = logging.getLogger(__name__)

OnError: TypeAlias = Literal["raise", "skip", "return"]
"""What happens if one of several images fails: its error is raised, logged, or returned in place of its result."""

Raised: TypeAlias = Literal["raise", "skip"]
"""The values of `on_error` with which only segmentations are returned."""

Images: TypeAlias = list[ImageSource] | tuple[ImageSource, ...]
ImageIterator: TypeAlias = Iterator[ImageSource]


class CallOptions(TypedDict, total=False):
    """Options of `Segmenter.__call__` that apply to one image and to several."""

    background: Sequence[str]
    top_k: int | None
    unknown_below: float | None
    return_logits: bool


def check_on_error(on_error: str, *, single: bool) -> None:
    """Check that `on_error` is allowed for a call with one image (`single`) or with several.

    Raises:
        OutputOptionsError: the value is unknown, or is "skip" or "return" for a single image.
    """
    if on_error not in get_args(OnError):
        raise OutputOptionsError(f"on_error={on_error!r}; allowed are {', '.join(map(repr, get_args(OnError)))}")
    if single and on_error != "raise":
        raise OutputOptionsError(
            f"on_error={on_error!r} was given with one image, whose error is always raised. Give a list of images, or "
            "leave on_error out."
        )


def segment_each(
    images: Iterable[ImageSource], segment: Callable[[ImageSource], Segmentation], on_error: OnError
) -> Iterator[Segmentation | SampleError]:
    """Yield the segmentation of each image, one image at a time.

    Any exception counts as a failure of that one image, except those that concern the next ones as well, which are
    raised unchanged (see `io.failures`). Exceptions of the iterable itself are not caught.

    Raises:
        SampleError: with "raise", for the first image that fails; the message names its index and source.
    """
    for index, image in enumerate(images):
        outcome = _outcome(index, image, segment)
        if on_error == "raise" and isinstance(outcome, SampleError):
            raise outcome from outcome.__cause__
        if on_error == "skip" and isinstance(outcome, SampleError):
            logger.warning("left out %s", outcome)
        else:
            yield outcome


def _outcome(
    index: int, image: ImageSource, segment: Callable[[ImageSource], Segmentation]
) -> Segmentation | SampleError:
    try:
        return segment(image)
    except Exception as error:  # becomes a SampleError of this image
        if ends_run(error):
            raise
        failure = SampleError(f"images[{index}]{_named(image, error)}: {reason_of(error)}")
        failure.__cause__ = error
        return failure


def _named(image: ImageSource, error: Exception) -> str:
    """The path or URL of an image in brackets; empty if the message of its error contains it already."""
    return f" ({image})" if isinstance(image, str | Path) and str(image) not in str(error) else ""
