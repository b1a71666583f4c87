"""What a report says, before it is laid out."""

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
    """One picture, what was predicted for it and, where known, what is true.

    `names` are the classes that the labels index; those in `seen` were known in training. Unless `seen` is given,
    nothing is marked.
    """

    title: str
    image: UInt8[np.ndarray, "H W 3"]
    prediction: Integer[np.ndarray, "H W"]
    names: Sequence[str]
    truth: Integer[np.ndarray, "H W"] | None = None
    seen: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class LossCurve:
    """The loss after each logged step."""

    steps: Sequence[int]
    losses: Sequence[float]

    @classmethod
    def read(cls, path: Path) -> LossCurve:
        """The columns `step` and `loss` of a training log (`train.csv`)."""
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row.get("loss")]
        return cls([int(row["step"]) for row in rows], [float(row["loss"]) for row in rows])


@dataclass(frozen=True, slots=True)
class WorstClass:
    """A class; numbers in percent. `taken_for` are other classes with the share of its pixels that they got."""

    name: str
    unseen: bool
    iou: float
    share: float
    taken_for: Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class WorstClasses:
    """The worst classes of one evaluation, and pictures of them."""

    title: str
    rows: Sequence[WorstClass]
    figures: Sequence[Figure] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One run: the evaluations of its method (the most important first) beside those of a baseline, and pictures.

    `baselines` are matched to `evaluations` by dataset. `figures` have a ground truth, `free_text` were segmented with
    a user's own words. `worst` are classes to look at. `config` is the yaml of the run.
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
