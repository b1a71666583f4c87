"""Scores and intervals of ablation tables, computed again from counts of images: `python -m benchmarks.recount`.

`ahs-seg ablate` writes the counts of a table to `counts.npz`; `benchmarks/results` keeps them as `ablation_NAME.npz`
beside `ablation_NAME.json`.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ahs_seg.experiments.ablation.counts import RunCounts
from ahs_seg.experiments.ablation.table import Table, differences_of, score_curves
from benchmarks.stored import RESULTS, stored

TOLERANCE: Final = 1e-6
"""Largest difference of a score or an end of an interval, in [0, 1]."""


@dataclass(frozen=True)
class StoredRun:
    """The counts of a run in a file."""

    found: RunCounts

    def counts(self) -> RunCounts:
        """The counts."""
        return self.found


def stored_runs(path: Path) -> dict[str, dict[int, StoredRun]]:
    """The runs of a `counts.npz` by row and seed."""
    runs: defaultdict[str, dict[int, StoredRun]] = defaultdict(dict)
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            row, seed, kind = name.rsplit("/", 2)
            if kind == "counts":
                counts = arrays[name].astype(np.float32)
                runs[row][int(seed)] = StoredRun(RunCounts(counts, arrays[f"{row}/{seed}/known"]))
    return dict(runs)


def faults(table: Table, path: Path) -> Iterator[str]:
    """What a table says otherwise than the counts, one line each."""
    runs = stored_runs(path)
    if {row: set(seeds) for row, seeds in runs.items()} != {row.name: set(row.runs) for row in table.rows if row.runs}:
        yield f"{path.name} has not the rows and seeds of its table"
        return
    curves = score_curves(runs)
    for row in (row for row in table.rows if row.runs):
        again = differences_of(curves[row.name], curves[table.baseline], smallest=table.smallest / 100)
        for metric, summary in row.scores.items():
            scores = {seed: curve[0] for seed, curve in curves[row.name][metric].items()}
            if any(abs(scores[seed] - value) > TOLERANCE for seed, value in summary.by_seed.items()):
                yield f"{path.name}: {row.title}, {metric}: other scores"
        for metric, told in row.differences.items():
            ends = [(one.resampled.low, one.resampled.high) for one in (told, again[metric])]
            if max(abs(low - high) for low, high in zip(*ends, strict=True)) > TOLERANCE:
                yield f"{path.name}: {row.title}, {metric}: other interval"


def every_fault() -> Iterator[str]:
    """The faults of all tables whose counts are kept."""
    for path in sorted(RESULTS.glob("ablation_*.npz")):
        yield from faults(Table.parse(stored(path.stem), source=path.stem), path)


if __name__ == "__main__":
    found = list(every_fault())
    print("\n".join(found) or "scores and intervals are those of the counts")
    sys.exit(bool(found))
