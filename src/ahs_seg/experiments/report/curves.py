"""Charts of a training log: one panel per loss, and per group of values that the objective monitors."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Chart
from matplotlib.ticker import MaxNLocator

from ahs_seg.experiments.report.charts import ACCENT, INK, clear_frame, inline, literal, plot_loss

COLUMNS: Final = 3
NARROW: Final = 1
"""Panels side by side on a phone."""
WIDTH_INCHES: Final = 9.6
ROW_INCHES: Final = 2.05
DASHES: Final = ("-", "--", ":", "-.")
GAP: Final = 0.1
"""Smallest distance of two labels, as a fraction of the axes height."""


@dataclass(frozen=True, slots=True)
class Series:
    """Logged values with their steps."""

    steps: Sequence[int]
    values: Sequence[float]


def read_series(path: Path) -> dict[str, Series]:
    """Read every column of a log by name; empty if the file does not exist."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else {}) if name != "step"]
    return {name: _column(rows, name) for name in names}


def grouped(series: Mapping[str, Series]) -> dict[str, dict[str, Series]]:
    """Series grouped by panel: `alpha/vision/3` is the line `3` of the panel `alpha/vision`."""
    groups: dict[str, dict[str, Series]] = {}
    for name, one in series.items():
        panel, _, line = name.rpartition("/")
        groups.setdefault(panel or line, {})[line] = one
    return groups


def loss_panels(losses: Mapping[str, Series], *, columns: int = COLUMNS) -> str:
    """Chart with one panel per loss, raw and smoothed, as SVG."""
    chart, panels = _grid(len(losses), columns)
    for axes, (name, one) in zip(panels, losses.items(), strict=False):
        plot_loss(axes, one.steps, one.values)
        _finish(axes, "total" if name == "loss" else name.removeprefix("loss_").replace("_", " "))
    return inline(chart)


def statistic_panels(series: Mapping[str, Series], *, columns: int = COLUMNS) -> str:
    """Chart with one panel per group of series, as SVG; numbered lines, such as layers, go from light to dark."""
    groups = grouped(series)
    chart, panels = _grid(len(groups), columns)
    for axes, (name, lines) in zip(panels, groups.items(), strict=False):
        numbered = len(lines) > 1 and all(line.isdigit() for line in lines)
        for place, one in enumerate(lines.values()):
            strength = 0.25 + 0.75 * place / (len(lines) - 1) if numbered else 1.0
            dash = "-" if numbered else DASHES[place % len(DASHES)]
            axes.plot(one.steps, one.values, color=ACCENT, alpha=strength, linewidth=1.3, linestyle=dash)
        if len(lines) > 1:
            ends = list(lines)
            _label({end: lines[end] for end in ({ends[0], ends[-1]} if numbered else ends)}, axes)
        (only, *others) = lines
        shown = name if others or only == name else f"{name} {only}"
        _finish(axes, shown.replace("/", ", ").replace("_", " "))
    return inline(chart)


def _column(rows: Sequence[Mapping[str, str]], name: str) -> Series:
    there = [row for row in rows if row[name] not in ("", None)]
    return Series([int(row["step"]) for row in there], [float(row[name]) for row in there])


def _grid(count: int, columns: int) -> tuple[Chart, list[Any]]:
    lines = max(1, math.ceil(count / columns))
    width = WIDTH_INCHES * (columns + 0.5 * (columns < COLUMNS)) / COLUMNS  # alone, a panel needs room for its labels
    chart = Chart(figsize=(width, ROW_INCHES * lines), layout="constrained")
    FigureCanvasSVG(chart)
    panels = list(chart.subplots(lines, columns, squeeze=False).flatten())
    for axes in panels[count:]:
        axes.set_visible(False)
    return chart, panels


def _label(lines: Mapping[str, Series], axes: Any) -> None:
    """Write the names at the right end of lines, moved apart so that they do not overlap."""
    low, high = axes.get_ylim()
    wanted = sorted((((one.values[-1] - low) / (high - low)), name) for name, one in lines.items() if one.values)
    places = [place for place, _ in wanted]
    for _ in range(100):
        for index, (lower, upper) in enumerate(pairwise(places)):
            if (lack := GAP - (upper - lower)) > 0:
                places[index], places[index + 1] = lower - lack / 2, upper + lack / 2
    for place, (_, name) in zip(places, wanted, strict=True):
        shown = name.replace("_", " ")
        axes.text(1.02, place, literal(shown), transform=axes.transAxes, fontsize=7, color=INK, va="center", alpha=0.8)


def _finish(axes: Any, title: str) -> None:
    axes.set_title(literal(title), fontsize=8.5, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.ticklabel_format(axis="y", useOffset=False)
    clear_frame(axes)
