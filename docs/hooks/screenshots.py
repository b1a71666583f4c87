"""The pictures of the web page in the guide: `python docs/hooks/screenshots.py MODEL` drives it in chromium."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from ahs_seg.demo.web import Workbench
from ahs_seg.demo.web.serve import find_models, serving

IMAGES = Path(__file__).parents[1] / "images"
SIZES = {"web": (1280, 800), "web-phone": (390, 844)}
PORT = 7869


def shoot(browser: Browser, address: str, name: str, size: tuple[int, int]) -> None:
    """One picture: an example segmented, a pixel asked for its scores."""
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


def main() -> None:
    """All pictures, of the model given."""
    program = shutil.which("chromium")
    with serving(Workbench(find_models(sys.argv[1:])), port=PORT) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, size in SIZES.items():
            shoot(browser, address, name, size)


if __name__ == "__main__":
    main()
