"""The image in a browser: names inside their regions, zoom and pan, the slider, and pixels by mouse and keyboard."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from ahs_seg.output.segmentation import Segmentation
from ahs_seg.segmenter import Segmenter
from tests.support.page_visits import WORDS, Visit, segment

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
BOXES = """() => {
  const frame = document.querySelector(".frame").getBoundingClientRect();
  return [...document.querySelectorAll(".names span")].map((span) => {
    const box = span.getBoundingClientRect();
    return [span.textContent, (box.left - frame.left) / frame.width, (box.top - frame.top) / frame.height,
      (box.right - frame.left) / frame.width, (box.bottom - frame.top) / frame.height];
  });
}"""
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
VIEW = """() => {
  const numbers = document.querySelector(".world").style.transform.match(/-?[0-9.]+(e-?[0-9]+)?/g).map(Number);
  const { clientWidth, clientHeight } = document.querySelector(".frame");
  return [numbers[2], numbers[0] / clientWidth, numbers[1] / clientHeight];
}"""


def in_regions(page: Page, result: Segmentation) -> list[str]:
    """The names that are shown, each of which must lie in a region of its class, apart from all others."""
    page.evaluate(DRAWN)
    zoom, left, top = page.evaluate(VIEW)
    boxes = page.evaluate(BOXES)
    height, width = result.labels.shape
    for text, *box in boxes:
        assert min(box) >= 0
        assert max(box) <= 1
        columns = [int((share - left) / zoom * width) for share in (box[0], box[2])]
        rows = [int((share - top) / zoom * height) for share in (box[1], box[3])]
        under = result.labels[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1]
        assert {result.classes[label] for label in np.unique(under)} == {text.replace("\n", " ")}
    for one in boxes:
        for other in boxes:
            apart = one[3] <= other[1] or other[3] <= one[1] or one[4] <= other[2] or other[4] <= one[2]
            assert one is other or apart
    return [text.replace("\n", " ") for text, *_ in boxes]


def test_names_lie_in_their_regions_at_every_zoom(visit: Visit, scenes: list[Path], segmenter: Segmenter) -> None:
    page = visit()
    segment(page, scenes[0])
    result = segmenter(scenes[0], WORDS)
    shown = in_regions(page, result)
    large = [name for name, pixels in result.areas().items() if pixels > 0.15 * result.labels.size]
    assert set(large) <= set(shown)
    box = page.locator(".frame").bounding_box()
    assert box is not None
    for x, y in ((0.2, 0.3), (0.8, 0.7)):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        before = page.locator(".zoom-level").inner_text()
        page.mouse.wheel(0, -500)
        expect(page.locator(".zoom-level")).not_to_have_text(before)
        assert in_regions(page, result)
    page.locator(".classes input").first.uncheck()
    assert next(iter(result.areas())) not in in_regions(page, result)
    page.locator(".named").uncheck()
    assert in_regions(page, result) == []


def test_zoom_and_pan(visit: Visit, scenes: list[Path], segmenter: Segmenter) -> None:
    page = visit(1440, 900)
    segment(page, scenes[0])
    result = segmenter(scenes[0], WORDS)
    frame = page.locator(".frame")
    box = frame.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.75 * box["height"])
    page.mouse.wheel(0, -700)
    expect(page.locator(".zoom-level")).to_have_text("406 %")
    zoom, left, top = page.evaluate(VIEW)
    assert zoom == pytest.approx(np.exp(1.4), rel=1e-3)
    assert (0.25 - left) / zoom == pytest.approx(0.25, abs=1e-3), "the point under the pointer stays"
    assert (0.75 - top) / zoom == pytest.approx(0.75, abs=1e-3)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.45 * box["width"], box["y"] + 0.65 * box["height"], steps=4)
    page.mouse.up()
    moved = page.evaluate(VIEW)
    assert moved[1:] == pytest.approx([min(0, left + 0.2), top - 0.1], abs=5e-3)
    expect(page.locator(".scores li")).to_have_count(0)
    height, width = result.labels.shape
    row, column = int((0.6 - moved[2]) / zoom * height), int((0.4 - moved[1]) / zoom * width)
    frame.click(position={"x": 0.4 * box["width"], "y": 0.6 * box["height"]})
    expect(page.locator(".where")).to_have_text(f"Column {column}, row {row}")
    expect(page.locator(".scores .name").first).to_have_text(result.classes[result.labels[row, column]])
    page.locator(".zoom-reset").click()
    assert page.evaluate(VIEW) == [1, 0, 0]
    page.locator(".zoom-in").click()
    expect(page.locator(".zoom-level")).to_have_text("150 %")
    page.locator(".zoom-out").click()
    expect(page.locator(".zoom-level")).to_have_text("100 %")


@pytest.mark.slow
def test_two_fingers_zoom(visit: Visit, scenes: list[Path]) -> None:
    page = visit(390, 844)
    segment(page, scenes[0], "grass, sky")
    page.locator(".frame").evaluate("""(frame) => {
      const box = frame.getBoundingClientRect();
      const at = (type, pointerId, x) => frame.dispatchEvent(new PointerEvent(type, { pointerId, bubbles: true,
        pointerType: "touch", clientX: box.left + x * box.width, clientY: box.top + 0.5 * box.height }));
      frame.setPointerCapture = () => {};
      at("pointerdown", 1, 0.4); at("pointerdown", 2, 0.6);
      at("pointermove", 1, 0.3); at("pointermove", 2, 0.7);
      at("pointerup", 1, 0.3); at("pointerup", 2, 0.7);
    }""")
    zoom, left, _ = page.evaluate(VIEW)
    assert zoom == pytest.approx(2, rel=0.02)
    assert (0.5 - left) / zoom == pytest.approx(0.5, abs=0.05), "the middle between the fingers stays"


def test_pixels_by_keyboard(visit: Visit, scenes: list[Path], segmenter: Segmenter) -> None:
    page = visit()
    segment(page, scenes[0])
    result = segmenter(scenes[0], WORDS)
    page.locator(".frame").focus()
    for key in ("ArrowRight", "ArrowDown", "Shift+ArrowDown", "ArrowUp", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    said = re.fullmatch(r"Column (\d+), row (\d+): (.+), score (.+)", page.locator(".said").inner_text())
    assert said is not None
    column, row = int(said[1]), int(said[2])
    assert said[3] == result.classes[result.labels[row, column]]
    assert float(said[4]) == pytest.approx(float(result.scores[row, column]), abs=0.01)
    expect(page.locator(".tip")).to_contain_text(said[3])
    page.keyboard.press("Enter")
    expect(page.locator(".where")).to_have_text(f"Column {column}, row {row}")
    expect(page.locator(".scores .name").first).to_have_text(said[3])
    page.keyboard.press("+")
    expect(page.locator(".zoom-level")).to_have_text("150 %")
    page.keyboard.press("0")
    expect(page.locator(".zoom-level")).to_have_text("100 %")
    page.keyboard.press("Escape")
    expect(page.locator(".cross")).to_be_hidden()


@pytest.mark.slow
def test_before_and_after(visit: Visit, scenes: list[Path]) -> None:
    page = visit()
    segment(page, scenes[0], "grass, sky, wood")
    page.locator(".named").uncheck()
    page.click(".before")
    bar = page.locator(".split")
    bar.focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert page.locator("canvas.overlay").evaluate("canvas => canvas.style.clipPath") == "inset(0px 0px 0px 70%)"
    page.locator(".times").click()
    pixels = np.asarray(Image.open(io.BytesIO(page.locator(".frame").screenshot())).convert("RGB")).astype(int)
    image = Image.open(scenes[0]).convert("RGB").resize(pixels.shape[1::-1], Image.Resampling.NEAREST)
    differs = np.abs(pixels - np.asarray(image)).max(-1) > 30
    width = pixels.shape[1]
    assert differs[:, : int(0.65 * width)].mean() < 0.05
    assert differs[:, int(0.75 * width) :].mean() > 0.5
    page.click(".before")
    expect(bar).to_be_hidden()
