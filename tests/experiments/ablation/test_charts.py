"""Charts of a table: a dot for each difference, and losses beside the baseline."""

import io

import numpy as np
import pytest
from PIL import Image

from ahs_seg.experiments.ablation.charts import (
    COLUMNS,
    NARROW,
    PAGE,
    curve_chart,
    difference_chart,
    save_png,
    wrapped,
)
from ahs_seg.experiments.ablation.statistics import Interval
from ahs_seg.experiments.report.charts import inline
from tests.support.ablation import EFFECTS, losses, table


def test_figures_show_a_dot_for_each_difference(found, tmp_path) -> None:
    chart = difference_chart(found)
    assert [axes.get_title() for axes in chart.axes] == ["all", "seen", "unseen", "harmonic"]
    for axes, metric in zip(chart.axes, found.metrics, strict=True):
        dots = [np.asarray(line.get_xdata())[0] for line in axes.lines if line.get_marker() == "o"]
        assert dots == pytest.approx([100 * row.differences[metric].difference for row in found.compared])
    save_png(chart, tmp_path / "a.png")
    pixels = np.asarray(Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())))
    assert pixels.shape[1] > 1400
    curves = curve_chart(found, losses([row.name for row in found.rows]), PAGE)
    titles = [axes.get_title() for axes in curves.axes if axes.get_visible()]
    assert titles == ["H-CLIP: loss", "nothing", "better", "worse"]
    assert inline(curves).startswith("<svg")


def test_a_collapse_does_not_hide_the_other_rows() -> None:
    broken = table(EFFECTS | {"broken": -0.4})
    for axes, metric in zip(difference_chart(broken).axes, broken.metrics, strict=True):
        assert axes.get_xlim()[1] < 10
        value = broken.row("broken").differences[metric].difference
        assert [text.get_text() for text in axes.texts] == [f"{100 * value:+.1f}"]
        assert len([line for line in axes.lines if line.get_marker() == "o"]) == 3


def ends_of(axes) -> list[float]:
    return [float(end) for line in axes.lines if len(line.get_xdata()) == 2 for end in line.get_xdata()]


@pytest.mark.parametrize("columns", [COLUMNS, NARROW])
def test_every_interval_lies_inside_its_axes(found, columns: int) -> None:
    panels = [axes for axes in difference_chart(found, columns=columns).axes if axes.get_visible()]
    for axes, metric in zip(panels, found.metrics, strict=True):
        low, high = axes.get_xlim()
        ends = ends_of(axes)
        assert low < min(ends)
        assert max(ends) < high
        for row in found.compared:
            for interval in (row.differences[metric].student, row.differences[metric].resampled):
                assert 100 * interval.low in [pytest.approx(end) for end in ends]
                assert 100 * interval.high in [pytest.approx(end) for end in ends]


def test_an_interval_that_is_far_too_wide_ends_in_an_arrow_inside(found) -> None:
    rows = []
    for row in found.rows:
        wide = {
            metric: one.replace(student=Interval(low=-0.9, high=0.9)) if row.name == "better" else one
            for metric, one in row.differences.items()
        }
        rows.append(row.replace(differences=wide))
    for axes in difference_chart(found.replace(rows=tuple(rows))).axes:
        low, high = axes.get_xlim()
        assert high < 20
        assert [line.get_marker() for line in axes.lines if line.get_marker() in ("<", ">")] == ["<", ">"]
        assert all(low < end < high for end in ends_of(axes) if end)


def test_a_chart_says_what_its_marks_mean(found) -> None:
    (key,) = difference_chart(found).legends
    texts = " | ".join(text.get_text() for text in key.get_texts())
    for expected in (
        "mean of 3 seeds, resolved: no bar reaches 0, off the band",
        "a single seed",
        "95% interval",
        "95% t interval",
        "as good as H-CLIP",
    ):
        assert expected in texts
    assert key.get_title().get_text() == "points of mIoU above or below H-CLIP: right is better"


@pytest.mark.parametrize("baseline", ["H-CLIP", "supervised embedding alone"])
def test_the_key_of_ten_seeds_fits_into_the_chart(baseline: str) -> None:
    effects = {baseline if place == 0 else name: effect for place, (name, effect) in enumerate(EFFECTS.items())}
    for columns in (2, 4):
        chart = difference_chart(table(effects, seeds=10), columns=columns)
        chart.canvas.draw()
        key = chart.legends[0].get_window_extent()
        assert 0 < key.x0 < key.x1 < chart.bbox.width


def test_long_titles_are_wrapped_and_not_cut() -> None:
    lines = ["all parts of the", "method at once, as", "documented"]
    assert wrapped(" ".join(lines), 20).splitlines() == lines
    assert wrapped("Donaudampfschiffahrt", 5) == "Donaudampfschiffahrt"


def test_losses_are_compared_with_the_same_seed(found) -> None:
    """Seed 1 is missing in one row; every loss is 1.1 times the baseline's of its seed."""
    base = {seed: ([1, 6, 11], [1.0 + seed, 2.0, 3.0]) for seed in range(3)}
    row = {seed: (steps, [1.1 * value for value in values]) for seed, (steps, values) in base.items() if seed != 1}
    chart = curve_chart(found, {"H-CLIP": base, "better": row, "worse": {}, "nothing": {}})
    panel = next(axes for axes in chart.axes if axes.get_title() == "better")
    assert panel.lines[-1].get_ydata().tolist() == pytest.approx([10, 10, 10])
