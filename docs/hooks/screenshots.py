"""Images of the docs: `python docs/hooks/screenshots.py MODEL` captures the web page and draws the others."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from playwright.sync_api import Browser, sync_playwright

from ahs_seg.data.world.dataset import TEST_SEED, WorldDataset
from ahs_seg.demo.web import Workbench
from ahs_seg.demo.web.serve import find_models, serving
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.legend import overlay_with_legend
from ahs_seg.output.palette import render_labels
from ahs_seg.segmenter import Segmenter

IMAGES = Path(__file__).parents[1] / "images"
SIZES = {"web": (1280, 800), "web-phone": (390, 844)}
PORT = 7869
CARD = (720, 400)


def shoot(browser: Browser, address: str, name: str, size: tuple[int, int]) -> None:
    """Take one screenshot: an example is segmented and the scores at one pixel are shown."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.set_default_timeout(120_000)
    page.goto(address)
    page.locator("#scenes button.gallery-item").nth(1).click()
    page.wait_for_selector(".viewer[data-state=full]")
    page.wait_for_timeout(1000)
    box = page.locator("canvas.overlay").bounding_box()
    assert box is not None
    page.locator("canvas.overlay").click(position={"x": 0.32 * box["width"], "y": 0.47 * box["height"]})
    page.wait_for_selector(".scores li")
    page.wait_for_timeout(1000)
    page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
    page.close()


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
    with serving(Workbench(find_models(sys.argv[1:])), port=PORT) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, size in SIZES.items():
            shoot(browser, address, name, size)
    cards(Segmenter.from_pretrained(sys.argv[1]))


if __name__ == "__main__":
    main()
