"""The page of a run, from the files that a run leaves."""

from pathlib import Path

import pytest

from ahs_seg.experiments.report.run import write_run_report
from tests.support.reports import PROVENANCE, Checker, evaluation


@pytest.mark.parametrize(
    "statistics", ["", "step,alpha/vision/0,alpha/vision/1,teacher/distance\n1,.3,.4,.01\n5,.2,.5,.02\n"]
)
def test_the_page_has_losses_and_what_was_watched(tmp_path: Path, statistics: str) -> None:
    (tmp_path / "train.csv").write_text("step,loss,loss_segmentation,loss_<b>,lr\n1,1.5,1,.5,.1\n5,.15,.1,.05,.1\n")
    if statistics:
        (tmp_path / "statistics.csv").write_text(statistics)
    page = write_run_report(
        tmp_path, title="A <run>", config="a: 1", provenance=PROVENANCE, evaluations=[evaluation("h_clip", [9, 8, 7])]
    ).read_text()
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert "A &lt;run&gt;" in page
    assert "5 steps of training" in page
    assert page.count("<svg") == (4 if statistics else 2)  # each for a wide page and for a phone
    assert ("Statistics of the modules" in page) is bool(statistics)
    assert "h_clip" in page


def test_a_run_that_logged_nothing_has_a_page(tmp_path: Path) -> None:
    page = write_run_report(tmp_path, title="empty", config="", provenance=PROVENANCE).read_text()
    assert "0 steps of training" in page
    assert "<svg" not in page
