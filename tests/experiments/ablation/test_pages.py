"""A table's page, figures and markdown say what the statistics say."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from ahs_seg.experiments.ablation.charts import PAGE, curve_chart, difference_chart, save_png
from ahs_seg.experiments.ablation.markdown import by_chance, markdown
from ahs_seg.experiments.ablation.pages import render_table, summary
from ahs_seg.experiments.report.charts import inline
from tests.experiments.report.test_report import Checker
from tests.support.ablation import losses, table

EFFECTS = {"H-CLIP": 0.0, "nothing": 0.0, "better": 0.05, "worse": -0.05}


@pytest.fixture(scope="module")
def found():
    return table(EFFECTS)


def test_verdicts_of_clear_effects(found) -> None:
    verdicts = {row.name: {one.verdict for one in row.differences.values()} for row in found.compared}
    assert verdicts == {"nothing": {"unresolved"}, "better": {"resolved"}, "worse": {"resolved"}}
    text = summary(found)
    assert re.match(r"Resolved as better than H-CLIP: better \(all \+\d", text)
    assert "worse than H-CLIP: worse (all -" in text
    assert text.endswith("4 of 12 differences are unresolved.")


def test_markdown_has_every_row_and_both_intervals(found) -> None:
    text = markdown(found)
    better = found.row("better").differences["unseen"]
    value, low = f"**{100 * better.difference:+.1f}**", f"[{100 * better.student.low:+.1f}, "
    line = next(line for line in text.splitlines() if line.startswith("| better | **"))
    assert value in line
    assert low in line
    assert line.count("resolved") == 4
    assert "| H-CLIP | " in text
    assert "1,000,000" in text
    assert "+1,234" in text
    assert "reaches 2.0 points" in text
    assert by_chance(found) == "12 differences at 95 %: some 0.6 intervals miss by chance."
    assert "full, seed 2 failed: <out of memory>" in text


def test_the_page_is_whole_and_escaped(found) -> None:
    page = render_table(found, losses([row.name for row in found.rows]))
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert "What &lt;parts&gt; are worth" in page
    assert "&lt;out of memory&gt;" in page
    assert page.count("<svg") == 2
    assert not re.search(r"""(src|href)\s*=\s*["']?https?:""", page)
    assert "#070809" not in page
    assert page.count("currentColor") > 10


def test_a_table_of_the_baseline_alone_has_a_page() -> None:
    alone = table({"H-CLIP": 0.0})
    page = render_table(alone, losses(["H-CLIP"]))
    assert "H-CLIP alone: nothing is compared." in page
    assert page.count("<svg") == 0
    assert markdown(alone).startswith("# What")


def test_figures_show_a_dot_for_each_difference(found, tmp_path) -> None:
    chart = difference_chart(found)
    assert [axes.get_title() for axes in chart.axes] == ["all", "seen", "unseen", "harmonic"]
    for axes, metric in zip(chart.axes, found.metrics, strict=True):
        dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
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
