"""Ablation table with scores, cost and differences to the baseline of every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool
from pydantic import Field

from ahs_seg.config import Config
from ahs_seg.evaluation import EvaluationError
from ahs_seg.experiments.ablation.counts import HasCounts, image_weights
from ahs_seg.experiments.ablation.runs import RunResult
from ahs_seg.experiments.ablation.statistics import DRAWS, Comparison, SeedCurves, SeedSummary, compare, summarise
from ahs_seg.experiments.ablation.suites import Suite
from ahs_seg.io.provenance import Provenance, provenance

IMAGE_SEED: Final = 0


class TableRow(Config):
    """Row of an ablation table; scores by `METRICS`, in [0, 1].

    `differences` are to the baseline (empty in its own row). `seconds` is the mean training time over seeds,
    `parameters` the number of all parameters of the method, `added` its difference to the baseline, `trained` the
    number of trained ones. `runs` are the directory names by seed.
    """

    name: str
    title: str
    scores: dict[str, SeedSummary]
    differences: dict[str, Comparison] = Field(default={})
    seconds: float | None
    parameters: int | None
    added: int | None
    trained: int | None
    missing: tuple[int, ...] = ()
    runs: dict[int, str]


class Table(Config):
    """An ablation table with the settings and provenance needed to assess and reproduce it."""

    title: str
    baseline: str
    scale: str
    data: str
    protocol: str
    images: int
    seeds: tuple[int, ...]
    overrides: tuple[str, ...]
    smallest: float
    rows: tuple[TableRow, ...]
    failures: tuple[str, ...] = ()
    commits: tuple[str, ...]
    provenance: Provenance

    @property
    def metrics(self) -> list[str]:
        """Names of the scores that the baseline has."""
        return list(self.row(self.baseline).scores)

    def row(self, name: str) -> TableRow:
        """Look up a row by name."""
        return next(row for row in self.rows if row.name == name)

    @property
    def compared(self) -> list[TableRow]:
        """Rows with a difference to the baseline."""
        return [row for row in self.rows if row.differences]


def build_table(
    suite: Suite,
    results: Mapping[str, Mapping[int, RunResult]],
    *,
    scale: str,
    data: str,
    seeds: Sequence[int],
    overrides: Sequence[str] = (),
    failures: Sequence[str] = (),
) -> Table:
    """Build the table of finished runs by row and seed; the baseline must have at least one.

    Images that any run could not evaluate are left out of all of them, and the failures say so.

    Raises:
        EvaluationError: the runs were evaluated on different numbers of images.
    """
    failed = _failed(suite, results)
    curves = score_curves(results)
    first = next(iter(results[suite.baseline].values()))
    floor = {metric: curves[suite.baseline][metric] for metric in curves[suite.baseline]}
    every = [result for runs in results.values() for result in runs.values()]
    return Table(
        title=suite.title,
        baseline=suite.baseline,
        scale=scale,
        data=data,
        protocol=first.report.protocol,
        images=first.report.images + len(first.report.failures) - len(failed),
        seeds=tuple(seeds),
        overrides=tuple(overrides),
        smallest=suite.smallest,
        rows=tuple(_row(suite, name, runs, curves[name], floor, results, seeds) for name, runs in results.items()),
        failures=(*failures, *([_left_out(failed)] if failed else [])),
        commits=tuple(sorted({result.facts.provenance.commit or "unknown" for result in every})),
        provenance=provenance(),
    )


def score_curves(results: Mapping[str, Mapping[int, HasCounts]]) -> dict[str, dict[str, SeedCurves]]:
    """By row and metric: scores of each seed on the original images and on bootstrap samples shared by all runs.

    Images that any run could not evaluate have no weight in all of them.

    Raises:
        EvaluationError: the runs were evaluated on different numbers of images.
    """
    curves: dict[str, dict[str, dict[int, np.ndarray]]] = {row: {} for row in results}
    common = _common({f"{row}, seed {seed}": run for row, runs in results.items() for seed, run in runs.items()})
    weights = image_weights(len(common), DRAWS, np.random.default_rng(IMAGE_SEED)) * common
    for row, runs in results.items():
        for seed, result in runs.items():
            for metric, values in result.counts().scores(weights).items():
                if not np.isnan(values[0]):
                    curves[row].setdefault(metric, {})[seed] = values
    return {row: dict(found) for row, found in curves.items()}


def differences_of(
    row: Mapping[str, SeedCurves], baseline: Mapping[str, SeedCurves], *, smallest: float
) -> dict[str, Comparison]:
    """The difference of a row to the baseline in every metric that both have."""
    found = {metric: compare(row[metric], baseline[metric], smallest=smallest) for metric in row if metric in baseline}
    return {metric: one for metric, one in found.items() if one is not None}


def _common(runs: Mapping[str, HasCounts]) -> Bool[np.ndarray, " n"]:
    """Whether all runs have labelled pixels of an image, by its index."""
    labelled = {title: run.counts().labelled for title, run in runs.items()}
    sizes = {len(found): title for title, found in labelled.items()}
    if len(sizes) > 1:
        told = "; ".join(f"{title}: {size}" for size, title in sizes.items())
        raise EvaluationError(
            f"runs of one table have different numbers of test images ({told}). The data has changed in between: "
            "remove `evaluations` in the folders of the runs, and run the table again."
        )
    return np.logical_and.reduce(list(labelled.values()))


def _failed(suite: Suite, results: Mapping[str, Mapping[int, RunResult]]) -> dict[int, str]:
    """The first problem of every image that a run could not evaluate, by index."""
    found: dict[int, str] = {}
    for row, runs in results.items():
        for seed, result in runs.items():
            for failure in result.report.failures:
                found.setdefault(failure.index, f"{suite.row_title(row)}, seed {seed}: {failure.problem}")
    return found


def _left_out(failed: Mapping[int, str]) -> str:
    count = f"{len(failed)} image{'s' * (len(failed) != 1)}"
    return (
        f"{count} left out of every row, since not all runs could evaluate them. {failed[min(failed)]} "
        "The same command tries them again."
    )


def _row(
    suite: Suite,
    name: str,
    runs: Mapping[int, RunResult],
    curves: Mapping[str, SeedCurves],
    floor: Mapping[str, SeedCurves],
    results: Mapping[str, Mapping[int, RunResult]],
    seeds: Sequence[int],
) -> TableRow:
    differences = {} if name == suite.baseline else differences_of(curves, floor, smallest=suite.smallest / 100)
    facts = [result.facts for result in runs.values()]
    base = next(iter(results[suite.baseline].values())).facts
    return TableRow(
        name=name,
        title=suite.row_title(name),
        scores={metric: summarise(values) for metric, values in curves.items()},
        differences=differences,
        seconds=float(np.mean([one.seconds for one in facts])) if facts else None,
        parameters=facts[0].parameters if facts else None,
        added=facts[0].parameters - base.parameters if facts else None,
        trained=facts[0].trained if facts else None,
        missing=tuple(seed for seed in seeds if seed not in runs),
        runs={seed: result.directory.name for seed, result in runs.items()},
    )
