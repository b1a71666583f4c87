"""What the runs of a table say: means over seeds, paired differences, and how far these can be trusted.

Two runs differ by chance because their seeds differ, and because other images could have been drawn. Both are resampled
(a bootstrap over seeds and images, crossed: a drawn image is drawn for every run). Resampling alone is too sure of
itself with few seeds - three values vary less among themselves than the source they come from - so Student's interval
over the seeds is given beside it, and a difference is called resolved only if neither contains zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
from jaxtyping import Float, Int64
from scipy.stats import t as student

from ahs_seg.config import Config

DRAWS: Final = 2000
LEVEL: Final = 0.95
SEEDS_OF_BOUND: Final = 3

Verdict = Literal["resolved", "unresolved"]
SeedCurves = Mapping[int, Float[np.ndarray, " b"]]
"""By seed: a score of one run, first on the images as they are, then on each draw of them."""


class Interval(Config):
    """The ends of an interval."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


class SeedSummary(Config):
    """A score over seeds: mean, spread (s.d. over seeds, `None` for a single one), and each seed's value."""

    mean: float
    spread: float | None
    by_seed: dict[int, float]


class Comparison(Config):
    """A paired difference: row minus baseline, seed by seed.

    `spread` is the s.d. of the differences over seeds; `resampled` the interval from resampling seeds and images,
    `student` the one from the differences of the seeds alone; `smallest` is the bound below which nothing is resolved.
    """

    difference: float
    spread: float | None
    by_seed: dict[int, float]
    resampled: Interval
    student: Interval | None
    smallest: float
    verdict: Verdict


def summarise(curves: SeedCurves) -> SeedSummary:
    """Mean and spread of a score over seeds."""
    values = {seed: float(curve[0]) for seed, curve in curves.items()}
    return SeedSummary(
        mean=float(np.mean(list(values.values()))), spread=_spread(list(values.values())), by_seed=values
    )


def compare(row: SeedCurves, baseline: SeedCurves, *, smallest: float) -> Comparison | None:
    """The paired difference over the seeds that both have; `None` if there are none.

    `smallest` is the bound at three seeds, in the unit of the scores.
    """
    seeds = [seed for seed in row if seed in baseline]
    if not seeds:
        return None
    differences = np.stack([row[seed] - baseline[seed] for seed in seeds])
    values = differences[:, 0]
    difference = float(values.mean())
    drawn = np.take_along_axis(differences[:, 1:].T, seed_draws(len(seeds), differences.shape[1] - 1), axis=1).mean(1)
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    resampled, sure = Interval(low=low, high=high), student_interval(values.tolist())
    bound = smallest * math.sqrt(SEEDS_OF_BOUND / len(seeds))
    clear = 0.0 not in resampled and sure is not None and 0.0 not in sure and abs(difference) >= bound
    return Comparison(
        difference=difference,
        spread=_spread(values.tolist()),
        by_seed=dict(zip(seeds, values.tolist(), strict=True)),
        resampled=resampled,
        student=sure,
        smallest=bound,
        verdict="resolved" if clear else "unresolved",
    )


def seed_draws(seeds: int, draws: int) -> Int64[np.ndarray, "b s"]:
    """Places in a list of so many seeds, drawn with replacement; the same for every row of a table."""
    return np.random.default_rng([seeds, draws]).integers(0, seeds, size=(draws, seeds))


def student_interval(values: Sequence[float]) -> Interval | None:
    """Student's interval of the mean, `None` for a single value."""
    spread = _spread(values)
    if spread is None:
        return None
    half = float(student.ppf((1 + LEVEL) / 2, len(values) - 1)) * spread / math.sqrt(len(values))
    mean = float(np.mean(values))
    return Interval(low=mean - half, high=mean + half)


def _spread(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
