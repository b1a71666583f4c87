"""Charts of a report as inline SVG that follows the colours of the page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Chart
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from scipy.ndimage import gaussian_filter1d

from ahs_seg.experiments.report.content import LossCurve
from ahs_seg.io.outside_text import on_one_line

_PAGE_COLOURS: Final = {"#010203": "currentColor", "#040506": "var(--accent)", "#070809": "var(--paper)"}
"""Placeholder colours of the drawing and the CSS colours that replace them, for light and dark pages."""

INK, ACCENT, PAPER = _PAGE_COLOURS
_SHARE: Final = 40


def loss_chart(curve: LossCurve) -> str:
    """Chart of the loss over the steps as SVG, raw in the background and smoothed in front."""
    chart = Chart(figsize=(4.0, 1.8), layout="constrained")
    FigureCanvasSVG(chart)
    axes = chart.add_subplot()
    plot_loss(axes, curve.steps, curve.losses)
    axes.set_xlabel("step", fontsize=7)
    axes.set_ylabel("loss", fontsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    clear_frame(axes)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    return inline(chart)


def plot_loss(axes: Any, steps: Sequence[int], losses: Sequence[float]) -> None:
    """Draw a loss curve, raw and smoothed; with a logarithmic axis if the values span more than a factor of 8."""
    values = np.asarray(losses, dtype=np.float64)
    axes.plot(steps, values, color=ACCENT, alpha=0.28, linewidth=0.7)
    axes.plot(steps, smoothed(values), color=ACCENT, linewidth=1.5)
    if len(values) and values.min() > 0 and values.max() > 8 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())


def literal(text: str) -> str:
    """The text as a chart shows it literally: on one line, and without formulas between dollar signs."""
    return on_one_line(text).replace("$", r"\$")


def clear_frame(axes: Any) -> None:
    """Reduce the frame of an axes to a faint bottom line and faint horizontal grid lines."""
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set(color=INK, alpha=0.3)
    axes.tick_params(which="both", colors=INK, labelsize=7, length=0)


def smoothed(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Values smoothed by a centred Gaussian whose sigma is a fortieth of the run."""
    return gaussian_filter1d(values, sigma=len(values) / _SHARE, mode="nearest") if len(values) else values


def inline(chart: Chart) -> str:
    """Render a chart as inline SVG, with `INK`, `ACCENT` and `PAPER` replaced by the page's CSS colours."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "ahs-seg"}):
        chart.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    for drawn, shown in _PAGE_COLOURS.items():
        drawing = drawing.replace(drawn, shown)
    return drawing
