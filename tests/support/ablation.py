"""Tables whose truth is known: scores drawn with given effects, spreads of seeds, and spreads of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ahs_seg.experiments.ablation.charts import Curve
from ahs_seg.experiments.ablation.statistics import DRAWS, SeedCurves, compare, summarise
from ahs_seg.experiments.ablation.suites import find_suite
from ahs_seg.experiments.ablation.table import Table, TableRow
from ahs_seg.io.provenance import Provenance

METRICS = ("miou", "seen", "unseen", "harmonic")
PROVENANCE = Provenance(
    versions={"torch": "2.13"}, hardware={"cores": 2}, commit="abc", command=("ahs-seg", "ablate"), date="today"
)


def curves(
    effect: float, *, seeds: int, seed_spread: float, image_spread: float, start: int, draws: int = DRAWS
) -> SeedCurves:
    """Scores of a row whose seeds scatter by `seed_spread`; drawn images move all runs alike, and each a bit."""
    common = np.random.default_rng(0).normal(0, image_spread, draws)
    result = {}
    for seed in range(seeds):
        rng = np.random.default_rng([start, seed])
        value = 0.3 + effect + rng.normal(0, seed_spread)
        own = rng.normal(0, 0.3 * image_spread, draws)
        result[seed] = np.concatenate([[value], value + common + own])
    return result


def table(effects: dict[str, float], *, seeds: int = 3, seed_spread: float = 0.005) -> Table:
    """Rows with these effects (in [0, 1]) on every score; the first is the baseline."""
    names = list(effects)
    found = {
        name: {
            metric: curves(effect, seeds=seeds, seed_spread=seed_spread, image_spread=0.006, start=100 * place + number)
            for number, metric in enumerate(METRICS)
        }
        for place, (name, effect) in enumerate(effects.items())
    }
    rows = []
    for name in names:
        compared = {metric: compare(found[name][metric], found[names[0]][metric], smallest=0.02) for metric in METRICS}
        differences = {metric: one for metric, one in compared.items() if one is not None}
        rows.append(
            TableRow(
                name=name,
                title=name,
                scores={metric: summarise(found[name][metric]) for metric in METRICS},
                differences={} if name == names[0] else differences,
                seconds=100.0,
                parameters=1_000_000,
                added=0 if name == names[0] else 1234,
                trained=1000,
                runs={seed: f"{name}-{seed}" for seed in range(seeds)},
            )
        )
    return Table(
        title="What <parts> are worth",
        baseline=names[0],
        scale="world",
        data="world-150",
        protocol="own",
        images=300,
        seeds=tuple(range(seeds)),
        overrides=("training.steps=3",),
        smallest=2.0,
        rows=tuple(rows),
        failures=("full, seed 2 failed: <out of memory>",),
        commits=("abc",),
        provenance=PROVENANCE,
    )


def losses(names: list[str]) -> dict[str, dict[int, Curve]]:
    """Falling losses with noise."""
    found: dict[str, dict[int, Curve]] = {name: {} for name in names}
    for place, name in enumerate(names):
        for seed in range(3):
            noise = np.random.default_rng(seed).uniform(0.7, 1.3, 70)
            values = np.exp(-np.arange(70) / (15 + place)) * noise + 0.03
            found[name][seed] = (list(range(1, 350, 5)), values.tolist())
    return found


TINY_SUITE = Path(__file__).with_name("tiny_suite.yaml")


EFFECTS = {"H-CLIP": 0.0, "nothing": 0.0, "better": 0.05, "worse": -0.05}


HYPERSPHERICAL = ("ahs_seg", "ahs_seg_lite", "hps_seg")


SUITE = find_suite(TINY_SUITE)

DATA = SUITE.scales["world"].test
