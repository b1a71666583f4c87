"""Charts of an ablation table: differences with confidence intervals, and loss curves."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Chart
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from ahs_seg.experiments.ablation.counts import METRICS
from ahs_seg.experiments.ablation.statistics import LEVEL, Comparison
from ahs_seg.experiments.ablation.table import Table
from ahs_seg.experiments.report.charts import ACCENT, INK, PAPER, literal, smoothed
from ahs_seg.io.atomic import write_bytes

DPI: Final = 160
ROW_INCHES: Final = 0.34
WIDTH_INCHES: Final = 9.6
COLUMNS: Final = 4
NARROW: Final = 2
"""Panels side by side on a phone."""
ROOM: Final = 1.15
"""Margin of the axis: its range is this multiple of the largest value shown."""

ARROWS: Final = 1.08
"""The place of arrows at the edge of the axis, in the same measure."""

THICK, THIN = 3.6, 1.2
"""Widths of the bars of the two intervals."""

TITLE: Final = 30
"""Characters of a line of a row's title."""

BEYOND: Final = 5.0
"""Rows whose extent exceeds this multiple of the median row's are off the axis: an arrow gives their value."""

MOST: Final = 0.98
"""Quantile of the relative losses that the axis covers; values of the first steps can be far larger."""

KEY: Final = 36
"""Characters of a line of the key that names the baseline."""

Curve = tuple[Sequence[int], Sequence[float]]
SuiteCurves = Mapping[str, Mapping[int, Curve]]
"""Loss curves (steps, losses) by row and seed."""
Polyline = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Colours:
    """Colours of a chart: text and lines, highlighted data, background."""

    ink: str
    accent: str
    paper: str


PRINT: Final = Colours("#22262b", "#2f6db0", "#ffffff")
PAGE: Final = Colours(INK, ACCENT, PAPER)


def difference_chart(table: Table, colours: Colours = PRINT, *, columns: int = COLUMNS) -> Chart:
    """Chart with one panel per score: the difference of each row to the baseline, in points.

    Dot: mean over seeds, filled where it is resolved. Thick bar: bootstrap interval over seeds and images. Thin bar:
    Student's t interval over seeds. Small ticks: single seeds. Band: differences too small to be resolved. A key below
    the panels says so. All of it lies inside the axes; what is beyond ends in an arrow.
    """
    rows, metrics = table.compared, table.metrics
    titles = [wrapped(literal(row.title), TITLE * columns // COLUMNS) for row in rows]
    lines = sum(1 + 0.5 * title.count("\n") for title in titles)
    storeys = math.ceil(len(metrics) / columns)
    chart = Chart(
        figsize=(width_of(columns), (0.6 + ROW_INCHES * lines) * storeys + 4.0 / columns), layout="constrained"
    )
    FigureCanvasAgg(chart)
    panels: Any = chart.subplots(storeys, min(columns, len(metrics)), sharey=True, squeeze=False).flatten()
    for axes in panels[len(metrics) :]:
        axes.set_visible(False)
    for axes, metric in zip(panels, metrics, strict=False):
        found = [row.differences.get(metric) for row in rows]
        edge = _edge([one for one in found if one is not None])
        axes.set_xlim(-edge, edge)
        for place, one in enumerate(found):
            if one is not None and 100 * abs(one.difference) > edge:
                _point_at(axes, place, one, colours)
            elif one is not None:
                _draw_difference(axes, place, one, colours)
        axes.set_title(METRICS[metric], fontsize=9, color=colours.ink)
        axes.axvline(0, color=colours.ink, linewidth=0.8, alpha=0.7, zorder=1)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}" if value else "0")
        _quiet(axes, colours, grid="x")
    panels[0].set_yticks(range(len(rows)), titles, fontsize=9)
    panels[0].set_ylim(len(rows) - 0.45, -0.55)
    base = literal(table.row(table.baseline).title)
    seeds = sorted({len(one.by_seed) for row in rows for one in row.differences.values()})
    _explain(
        chart, base, " to ".join(map(str, dict.fromkeys([seeds[0], seeds[-1]]))) if seeds else "0", colours, columns
    )
    return chart


def curve_chart(table: Table, curves: SuiteCurves, colours: Colours = PRINT, *, columns: int = COLUMNS) -> Chart:
    """Chart of the baseline's loss over the steps, and of each row's relative difference to it, paired by seed.

    With the same seed, two rows train on the same images and classes in every step, so the difficulty of steps cancels.
    Line: mean over seeds; area: their range.
    """
    base = curves[table.baseline]
    rows = [row for row in table.rows if row.name != table.baseline and curves.get(row.name, {}).keys() & base.keys()]
    lines = math.ceil((1 + len(rows)) / columns)
    chart = Chart(figsize=(width_of(columns), 0.4 + 1.75 * lines), layout="constrained")
    FigureCanvasAgg(chart)
    panels = chart.subplots(lines, columns, squeeze=False).flatten()
    _draw_range(panels[0], [_smooth(curve) for curve in base.values()], colours.ink)
    panels[0].set_title(f"{literal(table.row(table.baseline).title)}: loss", fontsize=8.5, color=colours.ink)
    _logarithmic(panels[0])
    found = [
        [_relative(curves[row.name][seed], base[seed]) for seed in curves[row.name] if seed in base] for row in rows
    ]
    edge = ROOM * max((float(np.quantile(np.abs(v), MOST)) for one in found for _, v in one), default=1.0)
    for axes, row, one in zip(panels[1 : 1 + len(rows)], rows, found, strict=True):
        axes.axhline(0, color=colours.ink, linewidth=0.8, alpha=0.7)
        _draw_range(axes, one, colours.accent)
        axes.set_title(literal(row.title), fontsize=8.5, color=colours.ink)
        axes.set_ylim(-edge, edge)
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:+g} %" if value else "0")
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        _quiet(axes, colours, grid="y")
    for axes in panels[1 + len(rows) :]:
        axes.set_visible(False)
    chart.supxlabel("step", fontsize=8, color=colours.ink)
    return chart


def save_png(chart: Chart, path: Path, colours: Colours = PRINT) -> None:
    """Write a chart as a PNG file."""
    buffer = io.BytesIO()
    chart.savefig(buffer, format="png", dpi=DPI, facecolor=colours.paper, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


def _draw_difference(axes: Any, place: int, one: Comparison, colours: Colours) -> None:
    band = 100 * one.smallest
    axes.fill_betweenx([place - 0.5, place + 0.5], -band, band, color=colours.ink, alpha=0.06, linewidth=0)
    resolved = one.verdict == "resolved"
    low, high = (side / ROOM * ARROWS for side in axes.get_xlim())
    for interval, width in ((one.student, THIN), (one.resampled, THICK)):
        if interval is not None:
            ends = [max(100 * interval.low, low), min(100 * interval.high, high)]
            axes.plot(ends, [place, place], color=colours.accent, linewidth=width, solid_capstyle="butt", zorder=2)
            for end, beyond, marker in ((low, 100 * interval.low < low, "<"), (high, 100 * interval.high > high, ">")):
                if beyond:
                    axes.plot([end], [place], marker, markersize=4.5, color=colours.accent, zorder=2)
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


def _explain(chart: Chart, base: str, seeds: str, colours: Colours, columns: int) -> None:
    """Add the key: what each mark is, how many seeds there are, and what the intervals are."""
    dot: dict[str, Any] = {
        "marker": "o",
        "markersize": 6,
        "markeredgewidth": 1.6,
        "markeredgecolor": colours.accent,
        "linestyle": "",
    }
    accent: dict[str, Any] = {"color": colours.accent}
    ink: dict[str, Any] = {"color": colours.ink}
    level, clear = f"{LEVEL:.0%}", "no bar reaches 0, off the band"
    key: list[tuple[Any, str]] = [
        (Line2D([], [], **dot, markerfacecolor=colours.accent), f"mean of {seeds} seeds, resolved: {clear}"),
        (Line2D([], [], **dot, markerfacecolor=colours.paper), "mean, not resolved: may be chance"),
        (Line2D([], [], **ink, marker="|", linestyle="", markersize=6), "a single seed"),
        (Line2D([], [], **accent, linewidth=THICK), f"{level} interval, seeds and images resampled"),
        (Line2D([], [], **accent, linewidth=THIN), f"{level} t interval over the seeds"),
        (Line2D([], [], **ink, linewidth=0.8), wrapped(f"0: as good as {base}, the baseline", KEY)),
        (Patch(facecolor=colours.ink, alpha=0.12), f"too small to be resolved with {seeds} seeds"),
    ]
    key_box = chart.legend(
        *zip(*key, strict=True),
        loc="outside lower center",
        ncols=3 if columns == COLUMNS else 1,
        fontsize=8,
        title=wrapped(f"points of mIoU above or below {base}: right is better", TITLE * columns),
        title_fontsize=9,
        frameon=False,
        labelcolor=colours.ink,
        handlelength=1.8,
        columnspacing=1.6,
    )
    key_box.get_title().set_color(colours.ink)


def width_of(columns: int) -> float:
    """Width in inches of a chart with that many panels side by side; two fit a phone."""
    return WIDTH_INCHES * columns / COLUMNS


def wrapped(title: str, most: int) -> str:
    """The title of a row in lines of at most `most` characters; a longer word keeps its own."""
    return "\n".join(textwrap.wrap(title, most, break_long_words=False)) or title


def _point_at(axes: Any, place: int, one: Comparison, colours: Colours) -> None:
    """Draw an arrow with the value of a difference that is off the axis."""
    side = 1 if one.difference > 0 else -1
    axes.annotate(
        f"{100 * one.difference:+.1f}",
        xy=(0.5 + 0.5 * side, place),
        xytext=(0.5 + 0.3 * side, place),
        xycoords=("axes fraction", "data"),
        ha="center",
        va="center",
        fontsize=8,
        color=colours.ink,
        arrowprops={"arrowstyle": "-|>", "color": colours.accent, "linewidth": 1.6, "shrinkA": 1, "shrinkB": 0},
    )


def _edge(found: Sequence[Comparison]) -> float:
    """Half range of the axis in points, so that means, seeds, both intervals and the band are fully visible.

    What reaches more than `BEYOND` times as far as the median row without its t interval is not considered.
    """
    reaches = [
        max(map(abs, (one.resampled.low, one.resampled.high, one.smallest, *one.by_seed.values()))) for one in found
    ]
    limit = BEYOND * float(np.median(reaches)) if reaches else 0.0
    reaches += [max(map(abs, (one.student.low, one.student.high))) for one in found if one.student is not None]
    return 100 * ROOM * max((reach for reach in reaches if reach <= limit), default=0.01)


def _smooth(curve: Curve) -> Polyline:
    steps, losses = curve
    return np.asarray(steps), smoothed(np.asarray(losses, np.float64))


def _relative(curve: Curve, base: Curve) -> Polyline:
    """Relative difference of a smoothed loss to another one in percent, at the steps that both have."""
    own, other = (dict(zip(*(part.tolist() for part in _smooth(one)), strict=True)) for one in (curve, base))
    steps = [step for step in own if step in other]
    return np.array(steps), np.array([100 * (own[step] / other[step] - 1) for step in steps])


def _draw_range(axes: Any, lines: Sequence[Polyline], colour: str) -> None:
    length = min(len(steps) for steps, _ in lines)
    values, steps = np.stack([values[:length] for _, values in lines]), lines[0][0][:length]
    axes.fill_between(steps, values.min(0), values.max(0), color=colour, alpha=0.18, linewidth=0)
    axes.plot(steps, values.mean(0), color=colour, linewidth=1.3)


def _logarithmic(axes: Any) -> None:
    """Use a logarithmic axis with plain numbers if the losses span more than a factor of 8."""
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
