"""Confusion counts and the segmentation metrics computed from them: IoU, accuracy, mIoU over seen and unseen classes.

Conventions, those of detectron2's `SemSegEvaluator` and of CAT-Seg:

- IoU of a class = hits / (labelled + predicted - hits), accuracy = hits / labelled, with counts summed over all images.
- Pixels labelled `IGNORE` are not counted. A pixel predicted as `IGNORE` ("none of the classes") counts as an error of
  its class.
- mIoU is the mean over classes that occur in the ground truth. The alternative denominator also includes classes that
  were only predicted; their IoU is 0.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Int64, Integer
from torch import Tensor

from ahs_seg.errors import AhsSegError
from ahs_seg.types import IGNORE

LabelMap: TypeAlias = Integer[np.ndarray, "*_"] | Integer[Tensor, "*_"]


class MetricError(AhsSegError, ValueError):
    """Error for predictions, labels or counts that cannot be scored."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Metric values in [0, 1]; `None` where a metric is undefined because no class contributes to it.

    `iou` and `accuracy` are per class, in the order of the vocabulary, `None` for classes without ground truth.
    `seen` and `unseen` are the mIoU over the seen and the unseen classes with ground truth, `harmonic` is the harmonic
    mean of the two.
    """

    miou: float | None
    """Mean IoU over classes with ground truth."""
    miou_with_predicted: float | None
    """Mean IoU over classes that occur in the ground truth or in the prediction."""
    fwiou: float | None
    """Frequency-weighted IoU: mean IoU weighted by the number of labelled pixels per class."""
    macc: float | None
    """Mean accuracy over classes with ground truth."""
    pacc: float | None
    """Pixel accuracy: fraction of labelled pixels that are predicted correctly."""
    seen: float | None
    unseen: float | None
    harmonic: float | None
    classes_labelled: int
    classes_labelled_or_predicted: int
    iou: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]
    boundary_miou: float | None = None
    """Mean boundary IoU over classes with ground truth, if bands were counted (`ahs_seg.metrics.boundary`)."""
    sg_miou: float | None = None
    """Mean SG-IoU over classes with ground truth, if a table of parent classes was given (`ahs_seg.metrics.sg_iou`)."""
    sg_miou_with_predicted: float | None = None
    """Mean SG-IoU over classes that occur in the ground truth or in the prediction, the denominator that SCAN uses."""

    def summary(self) -> dict[str, float]:
        """All scalar metrics that are defined, by name."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in named if isinstance(value, float)}


class ConfusionMatrix:
    """Labelled, predicted and correctly predicted pixels per class, as exact 64-bit integers.

    These three counts are sufficient for all scores, and their memory grows linearly with the number of classes.
    `pairs=True` also keeps the full confusion matrix: `pairs[k, j]` pixels of class k were predicted as class j.
    """

    def __init__(self, num_classes: int, *, pairs: bool = False) -> None:
        if num_classes < 1:
            raise MetricError(f"{num_classes} classes; a confusion matrix needs at least 1.")
        self.labelled: Int64[np.ndarray, " t"] = np.zeros(num_classes, np.int64)
        self.predicted = np.zeros(num_classes, np.int64)
        self.hits = np.zeros(num_classes, np.int64)
        self.pairs: Int64[np.ndarray, "t t"] | None = np.zeros((num_classes, num_classes), np.int64) if pairs else None

    def __len__(self) -> int:
        return len(self.labelled)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConfusionMatrix) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # counts change

    def update(self, prediction: LabelMap, labels: LabelMap) -> None:
        """Add the pixels of one image, or of a batch of images of one size, to the counts.

        Raises:
            MetricError: maps of different size, values that are neither a class nor `IGNORE`.
        """
        self.add(self.compare(prediction, labels))

    def compare(self, prediction: LabelMap, labels: LabelMap) -> Int64[np.ndarray, "n 3"]:
        """Rows (label, prediction, count), one per pair that occurs, as input of `add`; raises as `update` does."""
        predicted, wanted = _to_array(prediction), _to_array(labels)
        if predicted.shape != wanted.shape:
            raise MetricError(
                f"prediction is {_size(predicted)}, labels are {_size(wanted)}; they must have the same size. "
                "Resize the prediction to the labels, never the labels."
            )
        valid = wanted != IGNORE
        predicted, wanted = predicted[valid], wanted[valid]
        self._check("labels", wanted, 0)
        self._check("prediction", predicted, IGNORE)
        return pair_counts(predicted, wanted)

    def add(self, pairs: Int64[np.ndarray, "n 3"]) -> None:
        """Add rows of (label, prediction, count), as returned by `pair_counts`."""
        label, predicted, count = pairs.T
        named = predicted != IGNORE
        hit = label == predicted
        np.add.at(self.labelled, label, count)
        np.add.at(self.predicted, predicted[named], count[named])
        np.add.at(self.hits, label[hit], count[hit])
        if self.pairs is not None:
            np.add.at(self.pairs, (label[named], predicted[named]), count[named])

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        """Sum of two sets of counts, e.g. of two processes; `pairs` are kept only if both have them."""
        if len(self) != len(other):
            raise MetricError(
                f"cannot add counts of {len(self)} and {len(other)} classes; use one vocabulary for both."
            )
        both = self.pairs is not None and other.pairs is not None
        total = ConfusionMatrix(len(self), pairs=both)
        for name in ("labelled", "predicted", "hits", *(["pairs"] if both else [])):
            setattr(total, name, getattr(self, name) + getattr(other, name))
        return total

    def to_dict(self) -> dict[str, list[int] | list[list[int]]]:
        """Counts as plain lists of integers, ready for JSON."""
        counts = {name: getattr(self, name).tolist() for name in ("labelled", "predicted", "hits")}
        return counts if self.pairs is None else {**counts, "pairs": self.pairs.tolist()}

    @classmethod
    def from_dict(cls, counts: Mapping[str, list[int] | list[list[int]]]) -> ConfusionMatrix:
        """Confusion matrix restored from the output of `to_dict`."""
        matrix = cls(len(counts["labelled"]), pairs="pairs" in counts)
        for name, values in counts.items():
            setattr(matrix, name, np.array(values, np.int64))
        return matrix

    def scores(self, labels: Sequence[str] | None = None, *, seen: Collection[str] | None = None) -> Scores:
        """Metrics of all pixels counted so far.

        `seen` are the class names used in training; a class is seen if its label is exactly one of them.
        """
        union = self.labelled + self.predicted - self.hits
        present = self.labelled > 0
        involved = union > 0
        iou = _ratio(self.hits, union)
        accuracy = _ratio(self.hits, self.labelled)
        known = None if seen is None else self._membership(labels, seen)
        seen_miou = None if known is None else _mean(iou[present & known])
        unseen_miou = None if known is None else _mean(iou[present & ~known])
        total = int(self.labelled.sum())
        return Scores(
            miou=_mean(iou[present]),
            miou_with_predicted=_mean(iou[involved]),
            fwiou=float((iou * self.labelled).sum() / total) if total else None,
            macc=_mean(accuracy[present]),
            pacc=float(self.hits.sum() / total) if total else None,
            seen=seen_miou,
            unseen=unseen_miou,
            harmonic=harmonic_mean(seen_miou, unseen_miou),
            classes_labelled=int(present.sum()),
            classes_labelled_or_predicted=int(involved.sum()),
            iou=_defined(iou, present),
            accuracy=_defined(accuracy, present),
        )

    def _membership(self, labels: Sequence[str] | None, seen: Collection[str]) -> Bool[np.ndarray, " t"]:
        if labels is None or len(labels) != len(self):
            given = "no labels" if labels is None else f"{len(labels)} labels"
            raise MetricError(f"{given} for {len(self)} classes; seen and unseen need the label of every class.")
        names = frozenset(seen)
        return np.array([label in names for label in labels])

    def _check(self, what: str, values: Integer[np.ndarray, " n"], lowest: int) -> None:
        if len(values) and (values.min() < lowest or values.max() >= len(self)):
            raise MetricError(
                f"{what} have values {values.min()}..{values.max()}; allowed are 0..{len(self) - 1} and {IGNORE} "
                "for no class. Map file values to the vocabulary first."
            )


def pair_counts(prediction: Integer[np.ndarray, " n"], labels: Integer[np.ndarray, " n"]) -> Int64[np.ndarray, "m 3"]:
    """Rows of (label, prediction, count), one per pair that occurs; a prediction is a class index or `IGNORE`.

    Memory grows with the classes that occur in this input, not with the square of the vocabulary size.
    """
    prediction = prediction.astype(np.int64)  # uint8 cannot represent 255 + 1
    there = np.flatnonzero(np.bincount(labels))
    guessed = np.flatnonzero(np.bincount(prediction + 1)) - 1
    width = len(guessed)
    row, column = _positions(there, 0), _positions(guessed, 1)
    index = row[labels] * width + column[prediction + 1]
    counts = np.bincount(index, minlength=len(there) * width).reshape(len(there), width)
    first, second = np.nonzero(counts)
    return np.stack([there[first], guessed[second], counts[first, second]], axis=1).astype(np.int64)


def _positions(values: Int64[np.ndarray, " n"], shift: int) -> Int64[np.ndarray, " m"]:
    """Lookup table from each value (plus `shift`) to its position in `values`."""
    table = np.zeros(int(values.max(initial=-shift)) + shift + 1, np.int64)
    table[values + shift] = np.arange(len(values))
    return table


def harmonic_mean(first: float | None, second: float | None) -> float | None:
    """Harmonic mean 2ab / (a + b); 0 if both values are 0, `None` if either is `None`."""
    if first is None or second is None:
        return None
    return 2 * first * second / (first + second) if first + second else 0.0


def _to_array(labels: LabelMap) -> Integer[np.ndarray, "*_"]:
    return labels.detach().cpu().numpy() if isinstance(labels, Tensor) else labels


def _size(labels: Integer[np.ndarray, "*_"]) -> str:
    return "x".join(map(str, labels.shape[::-1]))


def _ratio(numerator: Int64[np.ndarray, " t"], denominator: Int64[np.ndarray, " t"]) -> np.ndarray:
    result: np.ndarray = numerator / np.maximum(denominator, 1)
    return result


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _defined(values: np.ndarray, present: Bool[np.ndarray, " t"]) -> tuple[float | None, ...]:
    return tuple(float(value) if there else None for value, there in zip(values, present, strict=True))
