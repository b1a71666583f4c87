"""Images of the docs: `python docs/hooks/screenshots.py MODEL` captures the web page and draws the others.

With a folder as second argument it also captures the page there in all forms in which it should be looked at.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps
from playwright.sync_api import Browser, Page, sync_playwright

from ahs_seg.data.world.dataset import TEST_SEED, WorldDataset
from ahs_seg.demo.web import Workbench
from ahs_seg.demo.web.serve import BASELINE, find_models, serving
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.legend import overlay_with_legend
from ahs_seg.output.palette import render_labels
from ahs_seg.segmenter import Segmenter

IMAGES = Path(__file__).parents[1] / "images"
SIZES = {"web": (1280, 800), "web-phone": (390, 844)}
PORT = 7869
CARD = (720, 400)
THINGS = ("cup", "coffee", "saucer", "spoon", "table", "wood", "shadow", "handle", "foam", "light")


def shoot(browser: Browser, address: str, name: str, size: tuple[int, int]) -> None:
    """Take one screenshot: an example is segmented and the scores at one pixel are shown."""
    page = opened(browser, address, size, "light")
    example(page, 1)
    click(page, 0.32, 0.47)
    page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
    page.context.close()


def shoot_models(browser: Browser, address: str) -> None:
    """Take the screenshot of two models side by side, in dark mode and zoomed."""
    page = opened(browser, address, (1440, 900), "dark")
    page.click("#beside input")
    page.get_by_role("option").last.click()
    page.keyboard.press("Escape")
    example(page, 1)
    page.locator(".frame").first.hover(position={"x": 150, "y": 200})
    page.mouse.wheel(0, -400)
    click(page, 0.3, 0.5)
    page.screenshot(path=IMAGES / "web-models.png", full_page=True)
    page.context.close()


def look_over(browser: Browser, address: str, folder: Path) -> None:
    """Screenshots to be looked at: the photograph with 1, 30 and 847 words and a request that fails, in every form."""
    thirty = ", ".join(f"{colour} {thing}" for colour in ("red", "brown", "white") for thing in THINGS)
    for scheme in ("light", "dark"):
        for width, height in ((1440, 900), (390, 844)):
            page = opened(browser, address, (width, height), scheme)
            example(page, 2)
            for name, words in {"1": "cup", "30": thirty, "847": "ade20k-847", "failed": " ,"}.items():
                page.fill("#words textarea", words)
                page.press("#words textarea", "Enter")
                page.wait_for_selector(".problem:visible" if name == "failed" else ".viewer[data-fresh=true]")
                page.wait_for_timeout(1000)
                page.screenshot(path=folder / f"{scheme}-{width}-{name}.png", full_page=True)
            page.context.close()


def opened(browser: Browser, address: str, size: tuple[int, int], scheme: Literal["light", "dark"]) -> Page:
    """The page in a new context."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_selector("#go")
    return page


def example(page: Page, number: int) -> None:
    """Segment an example."""
    page.locator("#scenes button.gallery-item").nth(number).click()
    page.wait_for_selector(".viewer[data-fresh=true]")
    page.wait_for_timeout(1000)


def click(page: Page, x: float, y: float) -> None:
    """Show the scores at a point of the first image, given in shares of its sides."""
    box = page.locator(".frame").first.bounding_box()
    assert box is not None
    page.locator(".frame").first.click(position={"x": x * box["width"], "y": y * box["height"]})
    page.wait_for_selector(".scores li")
    page.wait_for_timeout(1000)


def cards(segmenter: Segmenter) -> None:
    """Write the four images of the start page, all of the same size."""
    scenes = WorldDataset(TEST_SEED, 40, names=59)
    results = [segmenter(scenes[index].image, scenes.vocabulary) for index in range(9)]
    first = results[0]
    save("start-python", fitted(overlay_with_legend(first.image, first.labels, first.classes)))
    grid = [np.concatenate([result.overlay() for result in results[row : row + 4]], 1) for row in (0, 4)]
    save("start-shell", fitted(np.concatenate(grid)))
    save("start-web", fitted(np.asarray(Image.open(IMAGES / "web.png").convert("RGB"))[:640]))
    sample = scenes[11]
    labels = render_labels(sample.labels, ClassColours(scenes.vocabulary.labels).for_image(sample.labels))
    save("start-data", fitted(np.concatenate([sample.image, labels], 1)))


def fitted(pixels: np.ndarray) -> Image.Image:
    """The image scaled by a whole number and centred on a white card."""
    factor = max(1, int(min(CARD[0] / pixels.shape[1], CARD[1] / pixels.shape[0])))
    scaled = Image.fromarray(pixels.repeat(factor, 0).repeat(factor, 1))
    return ImageOps.pad(scaled, CARD, Image.Resampling.LANCZOS, color="white")


def save(name: str, image: Image.Image) -> None:
    """Write one image of the docs."""
    image.save(IMAGES / f"{name}.png", optimize=True)


def main() -> None:
    """Write all images, with the model given."""
    program = shutil.which("chromium")
    models = find_models(sys.argv[1:2]) | {BASELINE: find_models([])[BASELINE]}
    with serving(Workbench(models), port=PORT) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, size in SIZES.items():
            shoot(browser, address, name, size)
        shoot_models(browser, address)
        if len(sys.argv) > 2:
            look_over(browser, address, Path(sys.argv[2]))
    cards(Segmenter.from_pretrained(sys.argv[1]))


if __name__ == "__main__":
    main()
