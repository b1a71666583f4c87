"""Which predictions of another program belong to which image, by their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from ahs_seg.errors import RunEndedError, SampleError
from ahs_seg.evaluation.report import EvaluationError
from ahs_seg.io.image_files import IMAGE_SUFFIXES


class AmbiguousPredictionsError(EvaluationError, RunEndedError):
    """It cannot be told which predictions belong to which image, so no score would mean anything."""


class PredictionNames:
    """Names of predictions, looked up by names of images; the ending of an image file may be missing in either.

    Files of labels name their images with it, folders without. Names are compared where `key` of both is the same; of
    several the one that is the same in more of its path is taken. `remedy` ends the messages.
    """

    def __init__(self, names: Iterable[str], key: Callable[[str], str], *, remedy: str) -> None:
        self._key, self._remedy = key, remedy
        self._names: defaultdict[str, list[str]] = defaultdict(list)
        for name in names:
            self._names[key(name)].append(name)
        self._used: dict[str, str] = {}

    def find(self, image: str) -> str:
        """The name of the predictions of an image.

        Raises:
            SampleError: there are none.
            AmbiguousPredictionsError: several could be that of this image, or one that of two images.
        """
        bare = without_ending(image)
        likeness = {
            name: (_agreement(name, image), _agreement(without_ending(name), bare))
            for name in self._names.get(self._key(image), [])
        }
        if not likeness:
            raise SampleError(f"no prediction for {image}; expected one of that name.")
        found = [name for name, value in likeness.items() if value == max(likeness.values())]
        if len(found) > 1:
            raise AmbiguousPredictionsError(
                f"the image {image} has predictions for {', '.join(found[:3])}; which are its own? {self._remedy}"
            )
        if (other := self._used.setdefault(found[0], image)) != image:
            raise AmbiguousPredictionsError(
                f"the predictions for {found[0]} would serve the images {other} and {image}. {self._remedy}"
            )
        return found[0]


def without_ending(name: str) -> str:
    """Name of an image without the ending of an image file, if it has one."""
    stem, dot, ending = name.rpartition(".")
    return stem if f"{dot}{ending}".lower() in IMAGE_SUFFIXES else name


def last_part(name: str) -> str:
    """Last part of the path of an image, without the ending of an image file."""
    return without_ending(PurePosixPath(name).name)


def _agreement(one: str, other: str) -> tuple[bool, int]:
    """Whether two paths are equal, and the number of their last parts that are equal if one is the end of the other."""
    first, second = PurePosixPath(one), PurePosixPath(other)
    shared = min(len(first.parts), len(second.parts))
    return first == second, shared * (first.parts[-shared:] == second.parts[-shared:])
