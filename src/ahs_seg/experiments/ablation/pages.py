"""Output files of an ablation table: JSON, markdown, charts and an HTML page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ahs_seg.experiments.ablation.charts import (
    COLUMNS,
    NARROW,
    PAGE,
    SuiteCurves,
    curve_chart,
    difference_chart,
    save_png,
)
from ahs_seg.experiments.ablation.counts import METRICS, save_counts
from ahs_seg.experiments.ablation.markdown import by_chance, markdown, size_of
from ahs_seg.experiments.ablation.runs import RunResult, loss_curves
from ahs_seg.experiments.ablation.statistics import Comparison
from ahs_seg.experiments.ablation.table import Table, TableRow
from ahs_seg.experiments.report.charts import inline
from ahs_seg.experiments.report.page import render_page
from ahs_seg.io.atomic import write_text

LOSS: Final = "loss_segmentation"
"""Loss used to compare rows: all rows have it, and optional modules do not add to it."""


COUNTS: Final = "counts.npz"
"""File with the pixel counts of every image of every run."""
WIDTHS: Final = (COLUMNS, NARROW)
"""Panels side by side on a wide page and on a phone."""


@dataclass(frozen=True, slots=True)
class PageCell:
    """A score in percent, its spread, and the difference to the baseline; `kind` is a CSS class."""

    value: str
    spread: str = ""
    gain: str = ""
    verdict: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class TableLine:
    """A table row formatted for the HTML page."""

    title: str
    is_baseline: bool
    cells: list[PageCell]
    seconds: str
    size: str
    missing: str


def write_table(table: Table, results: Mapping[str, Mapping[int, RunResult]], folder: Path) -> None:
    """Write `ablation.json`, `counts.npz`, `table.md`, two charts and `report.html` into a folder."""
    write_text(folder / "ablation.json", json.dumps(table.model_dump(mode="json"), indent=1) + "\n")
    save_counts(folder / COUNTS, ((row, seed, run) for row, runs in results.items() for seed, run in runs.items()))
    write_text(folder / "table.md", markdown(table))
    curves = _curves(results)
    if table.compared:
        save_png(difference_chart(table), folder / "differences.png")
        if curves.get(table.baseline):
            save_png(curve_chart(table, curves), folder / "learning_curves.png")
    write_text(folder / "report.html", render_table(table, curves))


def render_table(table: Table, curves: SuiteCurves) -> str:
    """Render the HTML page of a table; `curves` are the segmentation losses."""
    base = table.row(table.baseline)
    drawn = bool(table.compared and curves.get(table.baseline))
    return render_page(
        "ablation.html",
        title=table.title,
        summary=summary(table),
        provenance=table.provenance,
        facts={"data": f"{table.data}, {table.images} images, protocol {table.protocol}"}
        | ({"changed": " ".join(table.overrides)} if table.overrides else {}),
        commits=table.commits,
        table=table,
        base=base,
        columns=[METRICS[metric] for metric in table.metrics],
        lines=[_line(table, row) for row in table.rows],
        differences=[inline(difference_chart(table, PAGE, columns=each)) for each in WIDTHS if table.compared],
        curves=[inline(curve_chart(table, curves, PAGE, columns=each)) for each in WIDTHS if drawn],
        chance=by_chance(table),
        runs=[
            {"title": row.title, "seed": seed, "folder": name, "scores": _values(table, row, seed)}
            for row in table.rows
            for seed, name in row.runs.items()
        ],
    )


def summary(table: Table) -> str:
    """Sentences that list the resolved improvements and losses, and the number of unresolved differences."""
    base = table.row(table.baseline).title
    if not table.compared:
        return f"{base} alone: nothing is compared."
    better = _resolved(table, lambda difference: difference > 0)
    worse = _resolved(table, lambda difference: difference < 0)
    found = [one.verdict for row in table.compared for one in row.differences.values()]
    parts = [f"Resolved as better than {base}: {better}."] if better else []
    parts += [f"Resolved as worse than {base}: {worse}."] if worse else []
    return " ".join([*parts, f"{found.count('unresolved')} of {len(found)} differences are unresolved."])


def _resolved(table: Table, wanted: Callable[[float], bool]) -> str:
    rows = []
    for row in table.compared:
        chosen = [
            f"{METRICS[metric]} {100 * one.difference:+.1f}"
            for metric, one in row.differences.items()
            if one.verdict == "resolved" and wanted(one.difference)
        ]
        rows += [f"{row.title} ({', '.join(chosen)})"] if chosen else []
    return ", ".join(rows)


def _line(table: Table, row: TableRow) -> TableLine:
    return TableLine(
        title=row.title,
        is_baseline=row.name == table.baseline,
        cells=[_cell(row, metric) for metric in table.metrics],
        seconds="" if row.seconds is None else f"{row.seconds:.0f} s",
        size=size_of(table, row),
        missing=", ".join(map(str, row.missing)),
    )


def _cell(row: TableRow, metric: str) -> PageCell:
    score = row.scores.get(metric)
    if score is None:
        return PageCell("–")
    spread = "" if score.spread is None else f"{100 * score.spread:.1f}"
    value, one = f"{100 * score.mean:.1f}", row.differences.get(metric)
    if one is None:
        return PageCell(value, spread)
    return PageCell(value, spread, f"{100 * one.difference:+.1f}", one.verdict, _kind(one))


def _kind(one: Comparison) -> str:
    if one.verdict == "unresolved":
        return ""
    return "up" if one.difference > 0 else "down"


def _values(table: Table, row: TableRow, seed: int) -> list[str]:
    values = (row.scores[metric].by_seed.get(seed) if metric in row.scores else None for metric in table.metrics)
    return ["–" if value is None else f"{100 * value:.2f}" for value in values]


def _curves(results: Mapping[str, Mapping[int, RunResult]]) -> SuiteCurves:
    logs = {
        row: {seed: loss_curves(result.directory) for seed, result in runs.items()} for row, runs in results.items()
    }
    return {row: {seed: log[LOSS] for seed, log in found.items() if LOSS in log} for row, found in logs.items()}
