"""Per-image pixel counts, and their accumulation over many images into scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Integer

from ahs_seg.config import Config
from ahs_seg.metrics.boundary import count_boundaries
from ahs_seg.metrics.confusion import ConfusionMatrix, MetricError, Scores
from ahs_seg.metrics.parents import ParentTable
from ahs_seg.metrics.sg_iou import ParentCounts, semantic_iou

Counts = dict[str, list[int] | list[list[int]]]
BOUNDARY = "boundary_"


class Measures(Config):
    """Optional statistics to count in addition to labelled, predicted and correct pixels per class.

    `pairs` counts every (label, prediction) pair (memory: classes squared), `boundary` the bands of boundary IoU,
    `parents` is the table of parent classes for SG-IoU.
    """

    pairs: bool = False
    boundary: bool = False
    parents: ParentTable | None = None


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """Pixel counts of one image.

    `pairs` has rows (label, prediction, pixels); `boundary` has rows (class, labelled, predicted, hits) for the bands.
    """

    pairs: list[list[int]]
    boundary: list[list[int]] | None = None


def count_image(
    prediction: Integer[np.ndarray, "h w"], labels: Integer[np.ndarray, "H W"], classes: int, *, boundary: bool
) -> ImageCounts:
    """Pixel counts of one image, from its prediction and its ground truth.

    Raises:
        MetricError: maps of different size, values that are neither one of the `classes` nor `IGNORE`.
    """
    pairs = ConfusionMatrix(classes).compare(prediction, labels)
    bands = count_boundaries(prediction, labels).tolist() if boundary else None
    return ImageCounts(pairs.tolist(), bands)


class MetricAccumulator:
    """Pixel counts summed over many images, and the scores computed from them."""

    def __init__(self, classes: int, measures: Measures) -> None:
        self.measures = measures
        self.confusion = ConfusionMatrix(classes, pairs=measures.pairs)
        self.boundary = ConfusionMatrix(classes) if measures.boundary else None
        self.parents = None if measures.parents is None else ParentCounts(measures.parents)

    def add(self, image: ImageCounts) -> None:
        """Add the counts of one image."""
        pairs = np.array(image.pairs, np.int64).reshape(-1, 3)
        self.confusion.add(pairs)
        if self.parents is not None:
            self.parents.add(pairs)
        if self.boundary is not None:
            if image.boundary is None:
                raise MetricError("bands were not counted for this image; count with measures.boundary")
            index, *columns = np.array(image.boundary, np.int64).reshape(-1, 4).T
            totals = (self.boundary.labelled, self.boundary.predicted, self.boundary.hits)
            for total, column in zip(totals, columns, strict=True):
                total[index] += column

    def to_dict(self) -> Counts:
        """Counts as plain lists of integers, ready for JSON."""
        counts = self.confusion.to_dict()
        if self.boundary is not None:
            counts |= {BOUNDARY + name: values for name, values in self.boundary.to_dict().items()}
        if self.parents is not None:
            counts["taken"] = self.parents.taken.tolist()
        return counts

    @classmethod
    def from_dict(cls, counts: Mapping[str, list[int] | list[list[int]]], measures: Measures) -> MetricAccumulator:
        """Accumulator restored from the output of `to_dict`."""
        accumulator = cls(len(counts["labelled"]), measures)
        plain = {name: values for name, values in counts.items() if name in ("labelled", "predicted", "hits", "pairs")}
        accumulator.confusion = ConfusionMatrix.from_dict(plain)
        if accumulator.boundary is not None:
            bands = {name.removeprefix(BOUNDARY): counts[name] for name in counts if name.startswith(BOUNDARY)}
            accumulator.boundary = ConfusionMatrix.from_dict(bands)
        if accumulator.parents is not None:
            accumulator.parents.taken = np.array(counts["taken"], np.int64)
        return accumulator

    def __iadd__(self, other: MetricAccumulator) -> MetricAccumulator:
        """Add the counts of another process."""
        self.confusion = self.confusion + other.confusion
        if self.boundary is not None and other.boundary is not None:
            self.boundary = self.boundary + other.boundary
        if self.parents is not None and other.parents is not None:
            self.parents.taken += other.parents.taken
        return self

    def semantic_iou(self) -> list[float | None] | None:
        """SG-IoU per class, `None` for classes without ground truth; `None` if no table was given."""
        if self.parents is None:
            return None
        values = semantic_iou(self.confusion, self.parents).tolist()
        return [value if there else None for value, there in zip(values, self.confusion.labelled > 0, strict=True)]

    def scores(self, labels: Sequence[str] | None = None, *, seen: Collection[str] | None = None) -> Scores:
        """Metrics of all images counted so far; see `ConfusionMatrix.scores`."""
        scores = self.confusion.scores(labels, seen=seen)
        if self.boundary is not None:
            scores = replace(scores, boundary_miou=self.boundary.scores().miou)
        if self.parents is not None:
            total = float(semantic_iou(self.confusion, self.parents)[self.confusion.labelled > 0].sum())
            present, involved = scores.classes_labelled, scores.classes_labelled_or_predicted
            scores = replace(
                scores,
                sg_miou=total / present if present else None,
                sg_miou_with_predicted=total / involved if involved else None,
            )
        return scores
