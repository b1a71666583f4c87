"""Losses and other figures of the logs of a table's runs: what the modules did during training.

    python -m benchmarks.log_figures OUTPUT/SUITE/ablation.json [...]

For each row of an ablation table, from `train.csv` and `statistics.csv` of its runs in `OUTPUT/runs`: every loss as the
mean of the first and of the last tenth of the logged steps, every figure as it was logged first and last; means over
seeds, with the lowest and the highest of them. Writes `benchmarks/results/log_figures.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from ahs_seg.experiments.ablation.run import RUNS
from ahs_seg.experiments.ablation.runs import loss_curves
from ahs_seg.experiments.ablation.table import Table
from ahs_seg.experiments.report.curves import read_series
from ahs_seg.io.provenance import provenance
from benchmarks.stored import command_line, store

STATISTICS: Final = "statistics.csv"
SHARE: Final = 0.1
"""Share of the logged steps over which losses are averaged."""


def figures_of(run: Path) -> dict[str, tuple[float, float]]:
    """First and last value of every loss and figure of a run."""
    losses = {name: _ends(values) for name, (_, values) in loss_curves(run).items() if name != "loss"}
    watched = {name: one.values for name, one in read_series(run / STATISTICS).items()}
    return losses | {name: (values[0], values[-1]) for name, values in watched.items()}


def _ends(values: Sequence[float]) -> tuple[float, float]:
    count = max(1, round(SHARE * len(values)))
    return float(np.mean(values[:count])), float(np.mean(values[-count:]))


def rows_of(table: Table, runs: Path) -> list[dict[str, Any]]:
    """The figures of every row of a table."""
    rows = []
    for row in (row for row in table.rows if row.runs):
        found = [figures_of(runs / name) for name in row.runs.values()]
        figures = {name: _summary(np.array([one[name] for one in found])) for name in found[0]}
        rows.append({"name": row.name, "title": row.title, "figures": figures})
    return rows


def _summary(values: np.ndarray) -> dict[str, float]:
    """Means of the first and of the last values over seeds, and the lowest and highest last one."""
    first, last = values.mean(0)
    named = {"first": first, "last": last, "least": values[:, 1].min(), "most": values[:, 1].max()}
    return {name: float(f"{value:.4g}") for name, value in named.items()}


def energies(values: dict[str, Any]) -> Iterator[str]:
    """What the page of AHS-Seg tells of the energy loss: with weaker losses, with HA-HEM alone, and as documented."""
    rows = {row["name"]: row["figures"] for row in values["suites"]["ahs_seg_combined-validation"]["rows"]}
    weak, alone, whole = (f"{rows[name]['loss_energy']['last']:.4f}" for name in ("quiet", "ha_hem", "full"))
    yield f"energy loss {weak} at the end beside {alone}; {whole} with the documented losses"


def told(values: dict[str, Any]) -> Iterator[str]:
    """What the pages tell in sentences of the tuned modules."""
    rows = {row["name"]: row["figures"] for row in values["suites"]["tuned"]["rows"]}
    alphas = [value["last"] for name, value in rows["ha_hem"].items() if name.startswith("alpha/")]
    yield f"ends between {min(alphas):.3f} and {max(alphas):.3f}"
    energies = [f"{rows[name]['loss_energy']['last']:.4f}" for name in ("ha_hem", "ahs_seg")]
    yield f"({' and '.join(energies)})"
    shares = [value for name, value in rows["ahs_seg"].items() if name.startswith("fusion/")]
    yield f"shares between {min(one['least'] for one in shares):.2f} and {max(one['most'] for one in shares):.2f}"
    complexity = [rows["ahs_seg"][f"complexity/{name}"]["last"] for name in ("mean", "spread")]
    yield f"({complexity[0]:.2f}, spread {complexity[1]:.3f})"
    simple, hps = rows["ahs_seg_lite"], rows["hps_seg"]
    distances = hps["loss_prototype_distance"]["last"] + hps["loss_prototype_contrast"]["last"]
    yield f"({simple['loss_prototypes']['last']:.4f} and {simple['loss_segmentation']['last']:.3f})"
    yield f"({distances:.4f} and {hps['loss_segmentation']['last']:.3f})"
    yield f"within {simple['teacher/distance']['last']:.3f} radians"
    yield f"open to {hps['gates/channel']['last']:.4f}"


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("tables", type=Path, nargs="+", metavar="ablation.json")
    given = parser.parse_args()
    suites, commits = {}, set()
    for path in given.tables:
        table = Table.parse(json.loads(path.read_text(encoding="utf-8")), source=str(path))
        commits |= set(table.commits)
        suites[path.parent.name] = {"seeds": table.seeds, "rows": rows_of(table, path.parent.parent / RUNS)}
    made = provenance().replace(command=("log_figures.py", *(f"OUTPUT/{name}/ablation.json" for name in suites)))
    store("log_figures", {"suites": suites, "commits": sorted(commits)}, made)


if __name__ == "__main__":
    main()
