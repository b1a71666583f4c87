"""Statistics against values worked out by hand, against plain formulas, and against a known truth."""

import math
from typing import Any

import numpy as np
import pytest

from ahs_seg.experiments.ablation.statistics import Interval, compare, seed_draws, student_interval, summarise
from tests.support.ablation import curves


def test_means_spreads_and_student_by_hand() -> None:
    found = summarise({0: np.array([0.1, 9.0]), 4: np.array([0.2, 9.0]), 5: np.array([0.6, 9.0])})
    assert found.mean == pytest.approx(0.3)
    assert found.spread == pytest.approx(math.sqrt(0.07))  # (0.04 + 0.01 + 0.09) / 2
    assert found.by_seed == {0: 0.1, 4: 0.2, 5: 0.6}
    interval = student_interval([1.0, 2.0, 3.0])  # mean 2, s.d. 1, t(0.975, 2) = 4.302653
    assert (interval.low, interval.high) == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)))
    assert student_interval([1.0]) is None
    assert summarise({0: np.array([0.5])}).spread is None


def test_what_all_runs_share_cancels_in_a_paired_difference() -> None:
    shared = np.random.default_rng(0).normal(0, 0.5, 401)
    baseline = {seed: 0.3 + 0.1 * seed + shared for seed in range(3)}
    row = {seed: values + 0.05 for seed, values in baseline.items()}
    found = compare(row, baseline, smallest=0.02)
    assert found.difference == pytest.approx(0.05)
    assert (found.resampled.low, found.resampled.high) == pytest.approx((0.05, 0.05))
    assert found.spread == pytest.approx(0, abs=1e-12)
    assert found.verdict == "resolved"


def test_only_seeds_of_both_are_compared() -> None:
    baseline = {0: np.array([0.1, 0.1]), 1: np.array([0.2, 0.2])}
    found = compare({1: np.array([0.5, 0.5]), 2: np.array([0.9, 0.9])}, baseline, smallest=0.0)
    assert found.by_seed == {1: pytest.approx(0.3)}
    assert found.student is None
    assert found.verdict == "unresolved"  # a single seed never resolves
    assert compare({7: np.array([1.0, 1.0])}, baseline, smallest=0.0) is None


def test_both_sources_of_chance_widen_the_interval() -> None:
    """Independent seeds and images: variances add up, that of seeds as it is among the few there are."""

    def width(seed_spread: float, image_spread: float) -> float:
        row = curves(0.0, seeds=4, seed_spread=seed_spread, image_spread=image_spread, start=1, draws=20_000)
        zero = {seed: np.zeros(20_001) for seed in row}
        interval = compare(row, zero, smallest=0.0).resampled
        return (interval.high - interval.low) / (2 * 1.96)

    values = summarise(curves(0.0, seeds=4, seed_spread=0.01, image_spread=0.0, start=1)).by_seed.values()
    of_seeds = np.std(list(values)) / 2
    of_images = 0.02 * math.sqrt(1 + 0.3**2 / 4)
    assert width(0.01, 0.0) == pytest.approx(of_seeds, rel=0.15)
    assert width(0.0, 0.02) == pytest.approx(of_images, rel=0.05)
    assert width(0.01, 0.02) == pytest.approx(math.hypot(of_seeds, of_images), rel=0.08)


@pytest.mark.parametrize(("effect", "seeds", "resolved"), [(0.0, 3, 0.05), (0.04, 4, 0.9), (0.01, 3, 0.0)])
def test_how_often_a_known_truth_is_resolved(effect: float, seeds: int, resolved: float) -> None:
    """No effect: at most one in twenty. Four points, four seeds: nearly always. One point, three seeds: the bound."""
    verdicts = []
    for trial in range(100):
        common: dict[str, Any] = {"seeds": seeds, "seed_spread": 0.0073, "image_spread": 0.004, "draws": 200}
        row = curves(effect, **common, start=2 * trial)
        verdicts.append(compare(row, curves(0.0, **common, start=2 * trial + 1), smallest=0.02).verdict == "resolved")
    share = float(np.mean(verdicts))
    assert share >= resolved if effect == 0.04 else share <= max(resolved, 0.05)


def test_the_bound_shrinks_with_the_seeds() -> None:
    for seeds, bound in ((3, 0.02), (12, 0.01)):
        row = {seed: np.full(5, 0.015) + 1e-5 * seed for seed in range(seeds)}
        found = compare(row, {seed: np.zeros(5) for seed in range(seeds)}, smallest=0.02)
        assert found.smallest == pytest.approx(bound)
        assert found.verdict == ("resolved" if bound < 0.015 else "unresolved")


def test_seeds_are_drawn_alike_for_every_row() -> None:
    assert (seed_draws(3, 100) == seed_draws(3, 100)).all()
    assert set(np.unique(seed_draws(3, 100))) == {0, 1, 2}
    assert 0.0 in Interval(low=-1, high=1)
    assert 2.0 not in Interval(low=-1, high=1)
