"""How far the labels of exported graphs agree with PyTorch on images, and how fast both are."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8

from ahs_seg.inference.model import InferenceModel
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.vocabulary.vocabulary import Vocabulary

ROUNDS: Final = 3
"""Timed calls of each side and image, after one that is not timed."""


@dataclass(frozen=True, slots=True)
class Parity:
    """Agreement of a runtime with PyTorch, and the median seconds of one image in each.

    `equal` is the share of pixels with the same label, `score` the largest difference of a score of such a pixel.
    """

    runtime: str
    images: int
    classes: int
    equal: float
    score: float
    torch_seconds: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.runtime}: {self.equal:.3%} of the labels of {self.images} image(s) with {self.classes} classes "
            f"equal those of PyTorch, scores differ by at most {self.score:.1e}; "
            f"{self.seconds:.3f} s an image, PyTorch {self.torch_seconds:.3f} s"
        )

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return asdict(self)


def compare(
    plain: InferenceModel,
    exported: InferenceModel,
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    vocabulary: Vocabulary,
    *,
    runtime: str,
    rounds: int = ROUNDS,
) -> Parity:
    """Agreement of an exported model with the one that it was exported from; both are timed in turns."""
    equal, pixels, score = 0, 0, 0.0
    seconds: tuple[list[float], list[float]] = ([], [])
    for image in images:
        first, second = (_segmented(model, image, vocabulary) for model in (plain, exported))
        same = first.labels == second.labels
        equal, pixels = equal + int(same.sum()), pixels + same.size
        score = max(score, float(np.abs(first.scores - second.scores)[same].max(initial=0)))
        for _ in range(rounds):
            for model, found in zip((plain, exported), seconds, strict=True):
                began = time.perf_counter()
                _segmented(model, image, vocabulary)
                found.append(time.perf_counter() - began)
    medians = [statistics.median(found) for found in seconds]
    return Parity(runtime, len(images), len(vocabulary), equal / pixels, score, medians[0], medians[1])


def _segmented(model: InferenceModel, image: UInt8[np.ndarray, "_ _ 3"], vocabulary: Vocabulary) -> Segmentation:
    return model.segment_many([image], vocabulary)[0]
