"""Pages in a browser as wide as a phone: nothing is cut, names are on the regions and shown on hover."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from ahs_seg.experiments.report import Report, write_report
from ahs_seg.experiments.report.run import write_run_report
from tests.support.reports import PROVENANCE, evaluation, figure

pytestmark = pytest.mark.browser
WIDTH = 390
TOO_WIDE = """() => [...document.querySelectorAll("main *")]
    .filter(one => one.getBoundingClientRect().right > innerWidth + 0.5 && !one.closest("svg"))
    .map(one => one.outerHTML.slice(0, 80))"""
ON_POINTER = "([x, y]) => document.elementFromPoint(x, y).querySelector('title').textContent"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield started
        started.close()


def page_of_figures(folder: Path) -> Path:
    path = folder / "page.html"
    evaluations, base = [evaluation("cat_seg", [9, 4, 6])], [evaluation("zero_shot", [5, 2, 6])]
    figures, free = [figure()], [figure(truth=False)]
    write_report(path, Report("Title", "Summary.", evaluations, PROVENANCE, base, figures, free))
    return path


def page_of_a_run(folder: Path) -> Path:
    (folder / "train.csv").write_text("step,loss,loss_a,loss_b\n1,3,2,1\n2,2,1,1\n", encoding="utf-8")
    (folder / "statistics.csv").write_text("step,gate/a_long_name,gate/other\n1,3,2\n2,2,1\n", encoding="utf-8")
    evaluations = [evaluation("cat_seg", [9, 4, 6])]
    return write_run_report(folder, title="Run", config="a: 1", provenance=PROVENANCE, evaluations=evaluations)


@pytest.mark.parametrize("make", [page_of_figures, page_of_a_run])
def test_nothing_is_wider_than_a_phone(browser: Browser, tmp_path: Path, make) -> None:
    page = browser.new_page(viewport={"width": WIDTH, "height": 844})
    page.goto(make(tmp_path).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == WIDTH
    assert page.evaluate(TOO_WIDE) == []
    assert page.locator(".broad:visible").count() == 0
    page.close()


def test_the_pointer_finds_the_name_of_what_it_is_on(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(page_of_figures(tmp_path).as_uri())
    overlay = page.locator(".scene svg").first
    overlay.scroll_into_view_if_needed()
    box = overlay.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    found = [page.evaluate(ON_POINTER, [box["x"] + share * box["width"], middle]) for share in (0.25, 0.75)]
    assert found == ["ground truth: sky, IoU 100", "ground truth: red <b>star</b>, missed"]
    assert "sky" in overlay.locator("text").all_text_contents()
    page.close()
