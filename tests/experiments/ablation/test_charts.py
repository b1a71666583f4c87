"""Charts of a table: a dot for each difference, and losses beside the baseline."""

import io

import numpy as np
import pytest
from PIL import Image

from ahs_seg.experiments.ablation.charts import PAGE, curve_chart, difference_chart, save_png
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


def test_losses_are_compared_with_the_same_seed(found) -> None:
    """Seed 1 is missing in one row; every loss is 1.1 times the baseline's of its seed."""
    base = {seed: ([1, 6, 11], [1.0 + seed, 2.0, 3.0]) for seed in range(3)}
    row = {seed: (steps, [1.1 * value for value in values]) for seed, (steps, values) in base.items() if seed != 1}
    chart = curve_chart(found, {"H-CLIP": base, "better": row, "worse": {}, "nothing": {}})
    panel = next(axes for axes in chart.axes if axes.get_title() == "better")
    assert panel.lines[-1].get_ydata().tolist() == pytest.approx([10, 10, 10])
