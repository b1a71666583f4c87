"""What the page shows in a browser answers what the form says, or says that it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from ahs_seg.segmenter import Segmenter
from tests.support.page_visits import Visit, drawn, names, segment, upload_image

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
QUEUE = "**/gradio_api/queue/join*"


def fresh(page: Page) -> str | None:
    return page.locator(".viewer").get_attribute("data-fresh")


def test_an_answer_is_not_shown_as_one_to_other_words(visit: Visit, scenes: list[Path]) -> None:
    page = visit()
    segment(page, scenes[0], "grass, sky")
    expect(page.locator(".caption")).to_have_text("Answers “grass, sky” one · scene 0.png")
    assert fresh(page) == "true"
    page.fill("#words textarea", "grass, sand")
    expect(page.locator(".caption")).to_have_text("Earlier answer, to “grass, sky” one · scene 0.png")
    assert fresh(page) == "false"
    page.fill("#words textarea", "grass, sky")
    expect(page.locator(".viewer")).to_have_attribute("data-fresh", "true")
    upload_image(page, scenes[1])
    expect(page.locator(".preview")).to_be_visible()
    expect(page.locator(".panes .pane")).to_have_count(0)


def test_while_a_request_runs_and_when_it_fails_the_old_answer_is_marked(visit: Visit, scenes: list[Path]) -> None:
    page = visit()
    segment(page, scenes[0], "grass, sky")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(QUEUE, hold)
    page.fill("#words textarea", "sand, water")
    page.click("#go")
    expect(page.locator(".busy")).to_have_text("Segmenting “sand, water”")
    expect(page.locator(".viewer")).to_have_attribute("aria-busy", "true")
    assert fresh(page) == "false"
    held[0].fulfill(status=503, json={"detail": "The page is closed."})
    expect(page.locator(".problem")).to_contain_text("Not segmented.")
    expect(page.locator(".busy")).to_be_hidden()
    expect(page.locator(".caption")).to_contain_text("“grass, sky”")
    assert fresh(page) == "false"
    page.unroute(QUEUE)
    page.click("#go")
    expect(page.locator(".viewer")).to_have_attribute("data-fresh", "true")
    expect(page.locator(".caption")).to_contain_text("Answers “sand, water”")
    expect(page.locator(".problem")).to_be_hidden()
    expect(page.locator(".toast-body")).to_have_count(0)


@pytest.mark.slow
def test_results_of_earlier_words_are_kept_to_compare(visit: Visit, scenes: list[Path], segmenter: Segmenter) -> None:
    page = visit()
    segment(page, scenes[0], "grass, sky")
    earlier = drawn(page)
    expect(page.locator(".history")).to_be_hidden()
    segment(page, scenes[0], "sand, water, wood")
    expect(page.locator(".kept .again")).to_have_count(2)
    page.click("#format input")
    page.get_by_role("option", name="coco", exact=True).click()
    page.locator(".kept .again").nth(1).click()
    expect(page.locator(".answered")).to_have_text("“grass, sky”")
    assert (drawn(page) == earlier).all()
    assert names(page) == list(segmenter(scenes[0], "grass, sky").areas())
    expect(page.locator("#download")).to_have_text("Download coco")
    page.wait_for_timeout(500)
    with page.expect_download() as downloading:
        page.click("#download")
    document = json.loads(downloading.value.path().read_text())
    assert [one["name"] for one in document["categories"]] == ["grass", "sky"], "of the result that is shown"
    page.locator(".kept .compare").click()
    expect(page.locator(".pane figcaption")).to_have_text(["“grass, sky”", "“sand, water, wood”"])
    expect(page.locator("canvas.overlay")).to_have_count(2)


def test_several_models_side_by_side(visit: Visit, scenes: list[Path]) -> None:
    page = visit()
    page.click("#beside input")
    page.get_by_role("option", name="other", exact=True).click()
    page.keyboard.press("Escape")
    segment(page, scenes[0], "grass, sky, sand")
    expect(page.locator(".pane figcaption")).to_have_text(["one", "other"])
    page.locator(".frame").first.click(position={"x": 30, "y": 30})
    expect(page.locator(".scores .of")).to_have_text(["one", "other"])
    expect(page.locator(".scores .name")).to_have_count(6)
    expect(page.locator(".mark:visible")).to_have_count(2)
    page.locator(".zoom-in").click()
    moved = page.locator(".world").evaluate_all("worlds => worlds.map((world) => world.style.transform)")
    assert moved[0] == moved[1] != "", "all show the same part"


@pytest.mark.slow
def test_two_tabs_do_not_disturb_one_another(visit: Visit, scenes: list[Path]) -> None:
    first = visit()
    segment(first, scenes[0], "grass, sky")
    second = first.context.new_page()
    second.goto(first.url)
    second.wait_for_selector("#go")
    assert second.locator("#words textarea").input_value() == ""
    segment(second, scenes[1], "sand, wood, water")
    first.locator(".frame").click(position={"x": 30, "y": 30})
    expect(first.locator(".scores .name")).to_have_count(2)
    first.reload()
    expect(first.locator(".caption")).to_have_text("Answers “grass, sky” one · scene 0.png")
    expect(second.locator(".answered")).to_have_text("“sand, wood, water”")
