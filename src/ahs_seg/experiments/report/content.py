"""Data of a report, before it is rendered as HTML."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt8

from ahs_seg.evaluation import EvaluationReport
from ahs_seg.io.provenance import Provenance


@dataclass(frozen=True, slots=True)
class Figure:
    """One image with its predicted label map and, if available, its ground truth.

    `names` are the classes that the labels index; classes not in `seen` (those of training) are marked as unseen. If
    `seen` is None, no class is marked.
    """

    title: str
    image: UInt8[np.ndarray, "H W 3"]
    prediction: Integer[np.ndarray, "H W"]
    names: Sequence[str]
    truth: Integer[np.ndarray, "H W"] | None = None
    seen: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class LossCurve:
    """Losses at the logged steps."""

    steps: Sequence[int]
    losses: Sequence[float]

    @classmethod
    def read(cls, path: Path) -> LossCurve:
        """Read the columns `step` and `loss` of a training log (`train.csv`)."""
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row.get("loss")]
        return cls([int(row["step"]) for row in rows], [float(row["loss"]) for row in rows])


@dataclass(frozen=True, slots=True)
class WorstClass:
    """Scores of a class in percent; `taken_for` are the classes predicted instead, with their shares of its pixels."""

    name: str
    unseen: bool
    iou: float
    share: float
    taken_for: Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class WorstClasses:
    """The classes with the lowest IoU in one evaluation, with example figures."""

    title: str
    rows: Sequence[WorstClass]
    figures: Sequence[Figure] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Content of a report: evaluations (the most important first), those of a baseline, and example figures.

    `baselines` are matched to `evaluations` by dataset. `figures` have a ground truth, `free_text` were segmented by
    free-text class names. `worst` lists the classes with the lowest IoU. `config` is the yaml of the run.
    """

    title: str
    summary: str
    evaluations: Sequence[EvaluationReport]
    provenance: Provenance
    baselines: Sequence[EvaluationReport] = ()
    figures: Sequence[Figure] = ()
    free_text: Sequence[Figure] = ()
    worst: Sequence[WorstClasses] = ()
    loss: LossCurve | None = None
    config: str = ""
    minutes: float | None = None
