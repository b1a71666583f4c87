"""Columns of the logs, and which of them share a panel."""

from pathlib import Path

from ahs_seg.experiments.report.curves import Series, grouped, read_series


def test_logs_are_read_column_by_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("step,loss,alpha/vision/0\n1,0.5,\n5,0.25,0.3\n")
    assert read_series(tmp_path / "a.csv") == {
        "loss": Series([1, 5], [0.5, 0.25]),
        "alpha/vision/0": Series([5], [0.3]),
    }
    assert read_series(tmp_path / "none.csv") == {}


def test_names_with_the_same_beginning_share_a_panel() -> None:
    one = Series([1], [1.0])
    found = grouped({"alpha/vision/0": one, "alpha/vision/1": one, "beta/vision": one, "beta/text": one, "plain": one})
    assert {panel: list(lines) for panel, lines in found.items()} == {
        "alpha/vision": ["0", "1"],
        "beta": ["vision", "text"],
        "plain": ["plain"],
    }
