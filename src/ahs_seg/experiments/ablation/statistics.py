"""Statistics of an ablation table: means over seeds, paired differences and their confidence intervals.

Two runs differ by chance because of their seeds and because of the sample of test images. Both are resampled (a crossed
bootstrap over seeds and images: a drawn image is drawn for every run). With few seeds the bootstrap interval is too
narrow (three values vary less than their distribution), so Student's t interval over the seeds is given in addition,
and a difference is called resolved only if neither interval contains zero and it is as large as that number of seeds
can resolve.
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
"""By seed: a score of one run, first on the original images, then on each bootstrap sample."""


class Interval(Config):
    """A closed interval."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


class SeedSummary(Config):
    """A score over seeds: mean, spread (standard deviation, `None` for a single seed), and the value of each seed."""

    mean: float
    spread: float | None
    by_seed: dict[int, float]


class Comparison(Config):
    """Paired difference of a score: row minus baseline, averaged over seeds.

    `spread` is the standard deviation of the differences over seeds; `resampled` the bootstrap interval over seeds and
    images, `student` the t interval over seeds; smaller differences than `smallest` are never resolved.
    """

    difference: float
    spread: float | None
    by_seed: dict[int, float]
    resampled: Interval
    student: Interval | None
    smallest: float
    verdict: Verdict


def summarise(curves: SeedCurves) -> SeedSummary:
    """Compute mean and spread of a score over seeds."""
    values = {seed: float(curve[0]) for seed, curve in curves.items()}
    return SeedSummary(
        mean=float(np.mean(list(values.values()))), spread=_spread(list(values.values())), by_seed=values
    )


def compare(row: SeedCurves, baseline: SeedCurves, *, smallest: float) -> Comparison | None:
    """Compare a row with the baseline over the seeds that both have; `None` if there are none.

    `smallest` is the smallest resolvable difference at three seeds, in the unit of the scores.
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
    """Bootstrap samples of seed positions, drawn with replacement; the same for every row of a table."""
    return np.random.default_rng([seeds, draws]).integers(0, seeds, size=(draws, seeds))


def student_interval(values: Sequence[float]) -> Interval | None:
    """Student's t confidence interval of the mean; `None` for a single value."""
    spread = _spread(values)
    if spread is None:
        return None
    half = float(student.ppf((1 + LEVEL) / 2, len(values) - 1)) * spread / math.sqrt(len(values))
    mean = float(np.mean(values))
    return Interval(low=mean - half, high=mean + half)


def _spread(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
