from __future__ import annotations

import re

from ahs_seg.evaluation import Failure
from ahs_seg.experiments.report import LossCurve, Report, render_report, write_report
from tests.support.reports import PROVENANCE, Checker, evaluation, figure


def whole() -> Report:
    return Report(
        title="A <title>",
        summary="What & why",
        evaluations=[evaluation("cat_seg", [9, 8, 7])],
        provenance=PROVENANCE,
        baselines=[evaluation("zero_shot", [5, 2, 8])],
        figures=[figure()],
        free_text=[figure(truth=False)],
        loss=LossCurve([1, 2, 3], [1.0, 0.5, 0.1]),
        config="method:\n  name: cat_seg\n",
        minutes=2.5,
    )


def test_the_page_is_well_formed_and_needs_nothing_else(tmp_path):
    write_report(tmp_path / "report.html", whole())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert all(address.startswith(("data:image/", "#")) for address in checker.addresses)
    assert len(checker.alts) == 5
    assert "Scene 1, ground truth: sky, red <b>star</b>" in checker.alts
    assert "<script" not in page
    assert "@import" not in page
    assert not re.search(r"url\(\s*['\"]?(http|//)", page)


def test_texts_are_escaped():
    page = render_report(whole())
    assert "A &lt;title&gt;" in page
    assert "What &amp; why" in page
    assert "<b>star</b>" not in page


def test_the_page_says_what_was_measured_and_how():
    page = render_report(whole())
    scores = evaluation("", [9, 8, 7]).scores
    for text in (f"{100 * scores.miou:.1f}", f"{100 * scores.unseen:.1f}", "zero_shot", "ahs-seg quickstart"):
        assert text in page
    for text in ("name: cat_seg", "torch 2.13", "cores 2", "2.5 minutes", "<svg", "4 images, 3 classes"):
        assert text in page


def test_a_report_with_nothing_but_a_title():
    page = render_report(Report("Empty", "", [], PROVENANCE))
    assert "Empty" in page
    assert "Scores" not in page


def test_items_left_out_are_listed():
    failed = evaluation("cat_seg", [9, 8, 7], failures=(Failure(index=3, problem="a.png: damaged <file>"),))
    page = render_report(Report("T", "", [failed], PROVENANCE))
    assert "world, item 3: a.png: damaged &lt;file&gt;" in page
