"""Scores of one run on bootstrap samples of its test images (drawn with replacement)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from ahs_seg.evaluation import EvaluationReport
from ahs_seg.evaluation.journal import recorded
from ahs_seg.io.atomic import replacing_file
from ahs_seg.metrics import ImageCounts

METRICS: Final = {"miou": "all", "seen": "seen", "unseen": "unseen", "harmonic": "harmonic"}
"""Scores that tables compare, with their titles."""


@dataclass(frozen=True)
class RunCounts:
    """Labelled, predicted and correctly predicted pixels by image and class; `known` marks classes seen in training."""

    counts: Float32[np.ndarray, "3 n t"]
    known: Bool[np.ndarray, " t"]

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.counts.shape[1])

    @property
    def labelled(self) -> Bool[np.ndarray, " n"]:
        """Whether an image has labelled pixels; one that could not be evaluated has none."""
        return self.counts[0].any(1)

    def scores(self, weights: Float32[np.ndarray, "b n"]) -> dict[str, Float[np.ndarray, " b"]]:
        """Each of `METRICS` with images counted by `weights`, one row per bootstrap sample; NaN where undefined."""
        labelled, predicted, hits = weights @ self.counts
        present = labelled > 0
        iou = hits / np.maximum(labelled + predicted - hits, 1)
        values = {
            "miou": _mean(iou, present),
            "seen": _mean(iou, present & self.known),
            "unseen": _mean(iou, present & ~self.known),
        }
        total = values["seen"] + values["unseen"]
        values["harmonic"] = 2 * values["seen"] * values["unseen"] / np.where(total > 0, total, 1)
        return values


@runtime_checkable
class HasCounts(Protocol):
    """A run whose pixel counts of every image can be read."""

    def counts(self) -> RunCounts:
        """Read the counts."""
        ...


def save_counts(path: Path, runs: Iterable[tuple[str, int, HasCounts]]) -> None:
    """Write the counts of (row, seed, run) into a compressed `.npz` file, one run in memory at a time.

    It has the arrays `ROW/SEED/counts` (labelled, predicted and correctly predicted pixels: 3 x images x classes) and
    `ROW/SEED/known`, from which all scores and intervals of a table can be computed again.
    """
    with replacing_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for row, seed, run in runs:
            found = run.counts()
            for name, values in (("counts", found.counts.astype(np.uint32)), ("known", found.known)):
                member = io.BytesIO()
                np.lib.format.write_array(member, values, allow_pickle=False)
                place = zipfile.ZipInfo(f"{row}/{seed}/{name}.npy")  # dated 1980, so that equal counts are equal files
                archive.writestr(place, member.getbuffer(), zipfile.ZIP_DEFLATED)


def read_counts(journal: Path, report: EvaluationReport) -> RunCounts:
    """Read the counts of all images from the journal of a report; those that the report lacks are zero."""
    labels, failed = report.labels, {failure.index for failure in report.failures}
    counts = np.zeros((3, report.images + len(failed), len(labels)), np.float32)
    for index, image in recorded(journal):
        if index not in failed:
            counts[:, index] = per_class(image, len(labels))
    names = frozenset(report.seen or ())
    return RunCounts(counts, np.array([label in names for label in labels]))


def per_class(image: ImageCounts, classes: int) -> Int64[np.ndarray, "3 t"]:
    """Labelled, predicted and correctly predicted pixels of each class in one image."""
    result = np.zeros((3, classes), np.int64)
    label, predicted, count = np.array(image.pairs, np.int64).reshape(-1, 3).T
    named, hit = predicted >= 0, label == predicted
    np.add.at(result[0], label, count)
    np.add.at(result[1], predicted[named], count[named])
    np.add.at(result[2], label[hit], count[hit])
    return result


def image_weights(images: int, draws: int, rng: np.random.Generator) -> Float32[np.ndarray, "b n"]:
    """Multiplicity of each image: ones in the first row, bootstrap samples in the other `draws` rows."""
    drawn = rng.multinomial(images, np.full(images, 1 / images), size=draws)
    return np.concatenate([np.ones((1, images)), drawn]).astype(np.float32)


def _mean(iou: Float[np.ndarray, "b t"], chosen: Bool[np.ndarray, "b t"]) -> Float[np.ndarray, " b"]:
    count = chosen.sum(1)
    return np.where(count > 0, (iou * chosen).sum(1) / np.maximum(count, 1), np.nan)
