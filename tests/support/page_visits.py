"""What a visitor of the web page does in a browser."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image
from playwright.sync_api import Page

WORDS = "grass, sky, brick wall, red plain circle, water"
Visit: TypeAlias = Callable[..., Page]


def upload_image(page: Page, image: Path) -> None:
    """Upload an image and wait until the page has it."""
    page.set_input_files("#picture input[type=file]", image)
    page.wait_for_selector("#picture img")


def ask(page: Page, image: Path | None, words: str) -> None:
    """Upload, write, press the button."""
    if image is not None:
        upload_image(page, image)
    page.fill("#words textarea", words)
    page.click("#go")


def segment(page: Page, image: Path | None, words: str = WORDS) -> None:
    """Ask, and wait for the new answer."""
    page.evaluate("() => { const t = document.querySelector('.times'); if (t) t.textContent = ''; }")
    ask(page, image, words)
    page.wait_for_function("() => document.querySelector('.viewer .times').textContent.startsWith('Image')")


def names(page: Page) -> list[str]:
    """The classes found, as they are listed."""
    return page.locator(".classes .name").all_inner_texts()


def drawn(page: Page) -> np.ndarray:
    """What the first canvas shows."""
    address = page.evaluate("() => document.querySelector('canvas.overlay').toDataURL('image/png')")
    content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
