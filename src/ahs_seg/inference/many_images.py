"""Segmentation of several images, with a choice of what happens to images that fail."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict, TypeVar, get_args

from ahs_seg.errors import SampleError
from ahs_seg.inference.top_k import OutputOptionsError, check_count
from ahs_seg.io.failures import ends_run, reason_of
from ahs_seg.io.images import ImageSource
from ahs_seg.output.segmentation import Segmentation

logger = logging.getLogger(__name__)

OnError: TypeAlias = Literal["raise", "skip", "return"]
"""What happens if one of several images fails: its error is raised, logged, or returned in place of its result."""

Raised: TypeAlias = Literal["raise", "skip"]
"""The values of `on_error` with which only segmentations are returned."""

Loaded = TypeVar("Loaded")
Outcome = TypeVar("Outcome")

Images: TypeAlias = list[ImageSource] | tuple[ImageSource, ...]
ImageIterator: TypeAlias = Iterator[ImageSource]


class CallOptions(TypedDict, total=False):
    """Options of `Segmenter.__call__` that apply to one image and to several."""

    background: Sequence[str]
    top_k: int | None
    unknown_below: float | None
    return_logits: bool
    batch_size: int


def check_batch_size(batch_size: int) -> None:
    """Check that `batch_size` is a number of images.

    Raises:
        OutputOptionsError: it is no whole number, or less than 1.
    """
    check_count("batch_size", batch_size, "the number of images to segment together")


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
    images: Iterable[ImageSource],
    read: Callable[[ImageSource], Loaded],
    segment: Callable[[Sequence[Loaded]], Sequence[Segmentation]],
    on_error: OnError,
    *,
    batch_size: int = 1,
) -> Iterator[Segmentation | SampleError]:
    """Yield the segmentation of each image in their order; `batch_size` images are read and segmented at a time.

    Any exception counts as a failure of one image, except those that concern the next ones as well, which are raised
    unchanged (see `io.failures`). If a batch fails, its images are segmented one by one. Exceptions of the iterable
    itself are not caught.

    Raises:
        SampleError: with "raise", for the first image that fails; the message names its index and source.
    """
    numbered = enumerate(images)
    while some := list(islice(numbered, batch_size)):
        for outcome in _outcomes(some, read, segment):
            if on_error == "raise" and isinstance(outcome, SampleError):
                raise outcome from outcome.__cause__
            if on_error == "skip" and isinstance(outcome, SampleError):
                logger.warning("left out %s", outcome)
            else:
                yield outcome


def _outcomes(
    some: Sequence[tuple[int, ImageSource]],
    read: Callable[[ImageSource], Loaded],
    segment: Callable[[Sequence[Loaded]], Sequence[Segmentation]],
) -> list[Segmentation | SampleError]:
    """The results of one batch: all its images together, one by one if that fails or if there is only one."""
    loaded = [_attempt(index, image, partial(read, image)) for index, image in some]
    readable = [one for one in loaded if not isinstance(one, SampleError)]
    together = iter(_together(readable, segment) if len(readable) > 1 else ())
    outcomes: list[Segmentation | SampleError] = []
    for (index, image), one in zip(some, loaded, strict=True):
        if isinstance(one, SampleError):
            outcomes.append(one)
            continue
        found = next(together, None)
        outcomes.append(_attempt(index, image, partial(_alone, one, segment)) if found is None else found)
    return outcomes


def _alone(loaded: Loaded, segment: Callable[[Sequence[Loaded]], Sequence[Segmentation]]) -> Segmentation:
    return segment([loaded])[0]


def _together(
    loaded: Sequence[Loaded], segment: Callable[[Sequence[Loaded]], Sequence[Segmentation]]
) -> Sequence[Segmentation]:
    """The results of several images; none if one of them fails, whichever it is."""
    try:
        return segment(loaded)
    except Exception as error:  # the images are tried again one by one, which tells the one that fails
        if ends_run(error):
            raise
        return ()


def _attempt(index: int, image: ImageSource, step: Callable[[], Outcome]) -> Outcome | SampleError:
    try:
        return step()
    except Exception as error:  # becomes a SampleError of this image
        if ends_run(error):
            raise
        failure = SampleError(f"images[{index}]{_named(image, error)}: {reason_of(error)}")
        failure.__cause__ = error
        return failure


def _named(image: ImageSource, error: Exception) -> str:
    """The path or URL of an image in brackets; empty if the message of its error contains it already."""
    return f" ({image})" if isinstance(image, str | Path) and str(image) not in str(error) else ""
