"""Figures of a table: differences with their intervals, and how training went."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Chart
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from ahs_seg.ablation.counts import METRICS
from ahs_seg.ablation.statistics import Comparison
from ahs_seg.ablation.table import Table
from ahs_seg.files import write_bytes
from ahs_seg.report.charts import ACCENT, INK, PAPER, smoothed

DPI: Final = 160
ROW_INCHES: Final = 0.34
WIDTH_INCHES: Final = 9.6
COLUMNS: Final = 4
ROOM: Final = 1.15
"""The axis reaches this much farther than what must be seen of it."""

Curve = tuple[Sequence[int], Sequence[float]]


@dataclass(frozen=True)
class Colours:
    """Of text and lines, of what is to be looked at, and of the paper."""

    ink: str
    accent: str
    paper: str


PRINT: Final = Colours("#22262b", "#2f6db0", "#ffffff")
PAGE: Final = Colours(INK, ACCENT, PAPER)


def difference_chart(table: Table, colours: Colours = PRINT) -> Chart:
    """A panel per score: each row's difference to the baseline in points.

    Dot: mean over seeds, filled where it is resolved. Thick line: interval from resampling seeds and images. Thin line:
    Student's interval over seeds. Small ticks: the seeds. Band: what is too small to be resolved.
    """
    rows, metrics = table.compared, table.metrics
    chart = Chart(figsize=(WIDTH_INCHES, 0.85 + ROW_INCHES * len(rows)), layout="constrained")
    FigureCanvasAgg(chart)
    panels: Sequence[Any] = chart.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        found = [row.differences.get(metric) for row in rows]
        for place, one in enumerate(found):
            if one is not None:
                _draw_difference(axes, place, one, colours)
        edge = _edge([one for one in found if one is not None])
        axes.set_xlim(-edge, edge)
        axes.set_title(METRICS[metric], fontsize=9, color=colours.ink)
        axes.axvline(0, color=colours.ink, linewidth=0.8, alpha=0.7, zorder=1)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}" if value else "0")
        _quiet(axes, colours, grid="x")
    panels[0].set_yticks(range(len(rows)), [row.title for row in rows], fontsize=9)
    panels[0].set_ylim(len(rows) - 0.45, -0.55)
    chart.supxlabel(f"difference to {table.row(table.baseline).title}, points of mIoU", fontsize=8, color=colours.ink)
    return chart


def curve_chart(table: Table, curves: Mapping[str, Sequence[Curve]], loss: str, colours: Colours = PRINT) -> Chart:
    """A panel per row: a loss over the steps, mean and range of the seeds, before the baseline's (grey)."""
    rows = [row for row in table.rows if row.name != table.baseline and curves.get(row.name)]
    lines = max(1, math.ceil(len(rows) / COLUMNS))
    chart = Chart(figsize=(WIDTH_INCHES, 0.4 + 1.75 * lines), layout="constrained")
    FigureCanvasAgg(chart)
    panels = chart.subplots(lines, COLUMNS, sharex=True, sharey=True, squeeze=False).flatten()
    for axes, row in zip(panels, rows, strict=False):
        _draw_curves(axes, curves[table.baseline], colours.ink, strength=0.55)
        _draw_curves(axes, curves[row.name], colours.accent, strength=1.0)
        axes.set_title(row.title, fontsize=8.5, color=colours.ink)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        _quiet(axes, colours, grid="y")
    for place, axes in enumerate(panels[len(rows) :], start=len(rows)):
        axes.set_visible(False)
        if place >= COLUMNS:
            panels[place - COLUMNS].tick_params(labelbottom=True)
    if rows:
        _logarithmic(panels[0])
    chart.supxlabel("step", fontsize=8, color=colours.ink)
    chart.supylabel(" ".join(reversed(loss.split("_", 1))), fontsize=8, color=colours.ink)
    return chart


def save_png(chart: Chart, path: Path, colours: Colours = PRINT) -> None:
    """The figure as a PNG file for documentation."""
    buffer = io.BytesIO()
    chart.savefig(buffer, format="png", dpi=DPI, facecolor=colours.paper, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


def _draw_difference(axes: Any, place: int, one: Comparison, colours: Colours) -> None:
    band = 100 * one.smallest
    axes.fill_betweenx([place - 0.5, place + 0.5], -band, band, color=colours.ink, alpha=0.06, linewidth=0)
    resolved = one.verdict == "resolved"
    for interval, width in ((one.student, 1.0), (one.resampled, 3.6)):
        if interval is not None:
            ends = [100 * interval.low, 100 * interval.high]
            axes.plot(ends, [place, place], color=colours.accent, linewidth=width, solid_capstyle="butt", zorder=2)
    seeds = [100 * value for value in one.by_seed.values()]
    axes.plot(seeds, [place + 0.27] * len(seeds), "|", color=colours.ink, alpha=0.7, markersize=5, zorder=2)
    axes.plot(
        [100 * one.difference],
        [place],
        "o",
        markersize=6.5,
        markeredgewidth=1.6,
        markeredgecolor=colours.accent,
        markerfacecolor=colours.accent if resolved else colours.paper,
        zorder=3,
    )


def _edge(found: Sequence[Comparison]) -> float:
    """How far the axis reaches: dots, seeds, resampled intervals and the band are seen whole."""
    seen = [
        abs(value)
        for one in found
        for value in (one.resampled.low, one.resampled.high, one.smallest, *one.by_seed.values())
    ]
    return 100 * ROOM * max(seen, default=0.01)


def _draw_curves(axes: Any, curves: Sequence[Curve], colour: str, *, strength: float) -> None:
    length = min(len(steps) for steps, _ in curves)
    values = np.stack([smoothed(np.asarray(losses, np.float64)) for _, losses in curves if len(losses) >= length])
    steps = np.asarray(curves[0][0])[:length]
    values = values[:, :length]
    axes.fill_between(steps, values.min(0), values.max(0), color=colour, alpha=0.18 * strength, linewidth=0)
    axes.plot(steps, values.mean(0), color=colour, linewidth=1.3, alpha=strength)


def _logarithmic(axes: Any) -> None:
    """A logarithmic axis for losses that fall by far, with plain numbers."""
    low, high = axes.dataLim.intervaly
    if low > 0 and high > 8 * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())


def _quiet(axes: Any, colours: Colours, *, grid: str) -> None:
    axes.grid(axis=grid, color=colours.ink, alpha=0.1, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.patch.set_alpha(0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set(color=colours.ink, alpha=0.3)
    axes.tick_params(which="both", colors=colours.ink, labelsize=8, length=0)
