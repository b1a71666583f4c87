"""The form in a browser: Enter segments, options reach the model, long lists, reloads, and texts that can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from ahs_seg.demo.web.serve import serving
from ahs_seg.demo.web.session import Workbench
from ahs_seg.io.images import read_image
from ahs_seg.segmenter import Segmenter
from tests.support.page_visits import Visit, ask, names, segment, upload_image
from tests.support.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
CONTRASTS = """() => {
  const parse = (text) => (text.match(/[0-9.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const over = (front, back) => [0, 1, 2].map((c) => back[c] + (front[3] ?? 1) * (front[c] - back[c]));
  const light = (colour) => colour.slice(0, 3).map((value) => value / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, index) => sum + c * [0.2126, 0.7152, 0.0722][index], 0);
  const own = (node) => parse(getComputedStyle(node).backgroundColor);
  const back = (node) => (node ? over(own(node), back(node.parentElement)) : [255, 255, 255]);
  const low = [];
  for (const node of document.querySelectorAll(".gradio-container *")) {
    const texts = [...node.childNodes].filter((child) => child.nodeType === 3);
    const text = texts.map((child) => child.data.trim()).join("");
    if (!text || !node.checkVisibility({ visibilityProperty: true }) || !node.getClientRects().length) continue;
    if (node.closest(":disabled, .names, .tip, .said, .visually")) continue;
    const style = getComputedStyle(node), size = parseFloat(style.fontSize);
    const behind = back(node), [one, other] = [light(over(parse(style.color), behind)), light(behind)];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < (size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5)) low.push([text, ratio]);
  }
  return low;
}"""


def test_the_image_is_shown_at_once_and_enter_segments(visit: Visit, scenes: list[Path]) -> None:
    page = visit()
    upload_image(page, scenes[0])
    expect(page.locator(".preview")).to_be_visible()
    shown = page.locator(".preview").evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert shown == list(read_image(scenes[0]).shape[1::-1])
    words = page.locator("#words textarea")
    words.fill("grass")
    words.press("Shift+Enter")
    words.press_sequentially("sky")
    assert words.input_value() == "grass\nsky"
    expect(page.locator(".viewer")).to_have_attribute("data-state", "image")
    words.press("Enter")
    expect(page.locator(".caption")).to_contain_text("Answers “grass, sky”")
    assert words.input_value() == "grass\nsky"
    expect(page.locator("#download")).to_have_text("Download overlay")


def test_a_file_that_the_browser_cannot_show(visit: Visit, scenes: list[Path], tmp_path: Path) -> None:
    page = visit()
    Image.open(scenes[0]).save(tmp_path / "scene.tif")
    upload_image(page, tmp_path / "scene.tif")
    expect(page.locator(".unseen")).to_be_visible()
    segment(page, None, "grass, sky")
    expect(page.locator(".caption")).to_contain_text("scene.tif")


def test_examples_are_reached_by_keyboard(visit: Visit) -> None:
    page = visit()
    page.locator("#go").focus()
    page.keyboard.press("Tab")
    for _ in range(2):
        page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.closest('#scenes') !== null")
    page.keyboard.press("Enter")
    expect(page.locator(".caption")).to_contain_text("coffee.jpg")
    assert "CC0" in page.locator(".credit").inner_text()
    expect(page.locator(".warnings")).to_contain_text("this model knows drawn scenes only")


def test_background_and_unknown_pixels(visit: Visit, scenes: list[Path], segmenter: Segmenter) -> None:
    page = visit()
    expected = segmenter(scenes[0], "grass, sky", background=["wood", "sand"])
    least = round(float(np.quantile(expected.scores, 0.3)), 2)
    page.click("#more button")
    page.fill("#background textarea, #background input", "wood, sand")
    page.fill("#unknown input[type=number]", str(least))
    page.locator("#unknown input[type=number]").blur()
    segment(page, scenes[0], "grass, sky")
    expected = segmenter(scenes[0], "grass, sky", background=["wood", "sand"], unknown_below=least)
    assert names(page) == list(expected.areas())
    assert "background" in names(page)
    expect(page.locator(".tables .unknown .pixels")).to_have_text(f"{expected.unknown.sum():,} px")
    expect(page.locator(".answered")).to_have_text(f"“grass, sky”, background “wood, sand”, unknown below {least:g}")


@pytest.mark.slow
def test_one_word_and_eight_hundred(browser: Browser, segmenter: Segmenter, scenes: list[Path]) -> None:
    with serving(Workbench({"one": lambda: segmenter}), port=free_port()) as address:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("#go")
        segment(page, scenes[0], "grass")
        assert names(page) == ["grass"]
        expect(page.locator(".filter")).to_be_hidden()
        segment(page, None, "ade20k-847")
        found = len(names(page))
        expect(page.locator(".absent summary")).to_have_text(f"{847 - found} of 847 classes not found.")
        expect(page.locator(".filter")).to_have_attribute("placeholder", "one of 847 classes")
        page.fill(".filter", "windmill")
        expect(page.locator(".matches")).to_have_text("1 found")
        expect(page.locator(".classes li:visible, .missing li:visible")).to_have_text("windmill")
        segment(page, None, ", ".join([*(f"thing {index}" for index in range(30)), "x" * 200]))
        expect(page.locator(".notes")).to_contain_text("Left out: Name 31")
        page.close()


def test_words_options_and_image_survive_a_reload(visit: Visit, scenes: list[Path]) -> None:
    page = visit()
    page.click("#model input")
    page.get_by_role("option", name="other", exact=True).click()
    segment(page, scenes[1], "sand, wood")
    page.reload()
    expect(page.locator(".caption")).to_have_text("Answers “sand, wood” other · scene 1.png")
    assert page.locator("#words textarea").input_value() == "sand, wood"
    assert page.locator("#model input").input_value() == "other"
    page.fill("#words textarea", "sand, wood, sky")
    page.wait_for_timeout(300)
    page.reload()
    expect(page.locator("#words textarea")).to_have_value("sand, wood, sky")


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1440, "light"),
        (390, "dark"),
        pytest.param(1440, "dark", marks=pytest.mark.slow),
        pytest.param(390, "light", marks=pytest.mark.slow),
    ],
)
def test_texts_have_contrast_and_nothing_is_cut(
    browser: Browser, address: str, scheme: Literal["light", "dark"], width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#go")
    page.locator("#scenes button.gallery-item").nth(2).click()
    page.wait_for_selector(".viewer[data-fresh=true]")
    page.fill("#words textarea", "cup")
    expect(page.locator(".viewer")).to_have_attribute("data-fresh", "false")
    ask(page, None, " ,")
    expect(page.locator(".problem")).to_be_visible()
    expect(page.locator(".toast-body")).to_have_count(0)
    assert page.evaluate(CONTRASTS) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    context.close()
