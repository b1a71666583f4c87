"""The page in a browser: what a visitor does, and that it talks to nobody else."""

import io
import json
import zipfile
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Browser, expect

from ahs_seg.demo.web.limits import Limits
from ahs_seg.demo.web.serve import serving
from ahs_seg.demo.web.session import DOWNLOADS, SessionResult, Workbench
from ahs_seg.io.images import read_image
from ahs_seg.segmenter import Segmenter
from tests.support.page_visits import WORDS, Visit, ask, drawn, names, segment
from tests.support.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

GEOTIFF = "geotiff"


def test_upload_words_segment(visit: Visit, scenes: list[Path], segmenter: Segmenter) -> None:
    page = visit()
    segment(page, scenes[0])
    expected = segmenter(scenes[0], WORDS)
    assert names(page) == list(expected.areas())
    pixels = page.locator(".classes .pixels").all_inner_texts()
    assert pixels == [f"{count:,} px" for count in expected.areas().values()]
    shown = drawn(page)
    zoom = shown.shape[0] // expected.labels.shape[0]
    inner = shown[zoom // 2 :: zoom, zoom // 2 :: zoom]  # between the contours
    colours = expected.overlay().astype(int)
    edges = np.zeros(expected.labels.shape, bool)
    edges[:, :-1] |= expected.labels[:, :-1] != expected.labels[:, 1:]
    edges[:-1] |= expected.labels[:-1] != expected.labels[1:]
    assert np.abs(inner.astype(int) - colours)[~edges].max() <= 1
    page.locator("canvas.overlay").hover(position={"x": 5, "y": 5})
    assert page.locator(".tip").inner_text().startswith(expected.classes[expected.labels[0, 0]])


def test_other_words_do_not_encode_the_image_again(visit: Visit, scenes: list[Path], segmenter: Segmenter) -> None:
    page = visit()
    segment(page, scenes[1], "grass, sky")
    segment(page, None, "grass, sky, sand, wood")
    text = page.locator(".times").inner_text()
    assert text.startswith("Image: cached. Classes: 0.")
    assert names(page) == list(segmenter(scenes[1], "grass, sky, sand, wood").areas())


def test_click_shows_the_best_scores(visit: Visit, scenes: list[Path], segmenter: Segmenter) -> None:
    page = visit()
    segment(page, scenes[0])
    result = segmenter(scenes[0], WORDS)
    box = page.locator("canvas.overlay").bounding_box()
    assert box is not None
    height, width = result.labels.shape
    for row, column in ((10, 20), (height - 8, width // 2)):
        at = {"x": (column + 0.5) / width * box["width"], "y": (row + 0.5) / height * box["height"]}
        page.locator("canvas.overlay").click(position=at)  # type: ignore[arg-type]  # a position
        expect(page.locator(".where")).to_have_text(f"Column {column}, row {row}")
        lines = page.locator(".scores .name").all_inner_texts()
        scores = [float(text) for text in page.locator(".scores em").all_inner_texts()]
        assert len(lines) == 5
        assert lines[0] == result.classes[result.labels[row, column]]
        assert scores[0] == pytest.approx(result.scores[row, column], abs=1e-3)
        assert scores == sorted(scores, reverse=True)


def test_classes_are_hidden_one_by_one(visit: Visit, scenes: list[Path], segmenter: Segmenter) -> None:
    page = visit()
    segment(page, scenes[0])
    labels, image = segmenter(scenes[0], WORDS).labels, read_image(scenes[0])
    largest = segmenter(scenes[0], WORDS).classes.index(names(page)[0])
    zoom = drawn(page).shape[0] // len(labels)
    inner = (slice(zoom // 2, None, zoom), slice(zoom // 2, None, zoom))
    mask = labels == largest
    assert (drawn(page)[inner][mask] != image[mask]).any(-1).mean() > 0.5
    page.locator(".classes input").first.uncheck()
    assert (drawn(page)[inner][mask] == image[mask]).all()
    assert (drawn(page)[inner][~mask] != image[~mask]).any(-1).mean() > 0.5
    page.click("text=hide all")
    assert (drawn(page)[inner] == image).all()
    page.click("text=show all")
    assert page.locator(".classes input:checked").count() == len(names(page))
    page.locator(".opacity").fill("100")
    assert len(np.unique(drawn(page)[inner].reshape(-1, 3), axis=0)) <= 2 * len(names(page))


def test_download(visit: Visit, scenes: list[Path], segmenter: Segmenter) -> None:
    page = visit()
    segment(page, scenes[0])
    files = {}
    page.click("#format input")
    offered = page.get_by_role("option").all_inner_texts()
    assert [text.split()[-1] for text in offered] == list(DOWNLOADS), "the chosen one has a tick"
    page.keyboard.press("Escape")
    for kind in sorted(DOWNLOADS, key=lambda kind: kind != "overlay"):
        if kind == GEOTIFF:
            continue  # the source has no georeference
        if kind != "overlay":
            page.click("#format input")
            page.get_by_role("option", name=kind, exact=True).click()
        expect(page.locator("#download")).to_have_text(f"Download {kind}")
        with page.expect_download() as downloading:
            page.click("#download")
        assert kind in downloading.value.suggested_filename
        files[kind] = downloading.value.path()
    with zipfile.ZipFile(files["png"]) as archive:
        image = next(name for name in archive.namelist() if name.endswith(".png"))
        values = np.asarray(Image.open(io.BytesIO(archive.read(image))))
        listed = json.loads(archive.read(image.replace(".png", ".classes.json")))
    expected = segmenter(scenes[0], WORDS)
    assert (values == expected.labels).all()
    assert listed["classes"] == expected.classes
    document = json.loads(files["coco"].read_text())
    assert len(document["annotations"]) == len(expected.areas())


def test_mistakes_are_explained(visit: Visit, scenes: list[Path], tmp_path: Path) -> None:
    page = visit()

    def message(words: str, image: Path | None = None) -> str:
        page.evaluate("() => { document.querySelector('.problem').textContent = ''; }")  # what it said before
        ask(page, image, words)
        expect(page.locator(".problem")).to_contain_text("Not segmented. ")
        text = page.locator(".problem").inner_text()
        assert page.locator(".viewer").get_attribute("data-fresh") == "false", "no answer to these words is shown"
        return text

    assert "No image yet" in message("sky")
    segment(page, scenes[0])
    assert "51 names; this page takes up to 50" in message(", ".join(f"thing {i}" for i in range(51)))
    assert "has 69 characters; this page takes up to 60" in message("x" * 69)
    assert "No class names yet" in message("  ")
    assert "'Sky'" in message("sky, Sky")
    broken = tmp_path / "broken.png"
    broken.write_bytes(scenes[0].read_bytes()[:500])
    text = message("sky", broken)
    assert "broken.png: damaged or incomplete" in text
    assert "/tmp" not in text
    expect(page.locator(".toast-body")).to_have_count(0)  # after three seconds
    assert not page.locator(".panes .pane").count(), "another image, which was not segmented"


def test_large_images_are_refused(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    Image.new("RGB", (2000, 1500)).save(tmp_path / "wide.png")
    ask(page, tmp_path / "wide.png", "sky")
    expect(page.get_by_test_id("toast-text").first).to_contain_text("2000x1500")


def test_large_files_are_refused(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    page.set_input_files("#picture input[type=file]", tmp_path / "large.png")
    expect(page.locator(".toast-body")).to_contain_text("maximum allowed size")


@pytest.mark.slow
def test_two_visitors_at_once(visit: Visit, scenes: list[Path], segmenter: Segmenter) -> None:
    first, second = visit(), visit()
    words = ("sky, grass, sand", "wood, metal, water, brick wall")
    for page, image, text in zip((first, second), scenes, words, strict=True):
        page.set_input_files("#picture input[type=file]", image)
        page.wait_for_selector("#picture img")
        page.fill("#words textarea", text)
    first.click("#go")
    second.click("#go")
    for page, image, text in zip((first, second), scenes, words, strict=True):
        page.wait_for_selector(".viewer[data-state=full]")
        assert names(page) == list(segmenter(image, text).areas())
    first.locator("canvas.overlay").click(position={"x": 5, "y": 5})
    expect(first.locator(".scores .name")).to_have_count(3)
    second.locator("canvas.overlay").click(position={"x": 5, "y": 5})
    expect(second.locator(".scores .name")).to_have_count(4)


@pytest.mark.slow
def test_a_full_queue_says_so(browser: Browser, segmenter: Segmenter, scenes: list[Path]) -> None:
    """One visitor is served, one waits, the third is told to come back."""
    go_on = Event()

    class Busy(Workbench):
        def segment(self, image: Path, words: str, model: str, **options: Any) -> SessionResult:
            assert go_on.wait(60)
            return super().segment(image, words, model, **options)

    with serving(Busy({"one": lambda: segmenter}, Limits(queue=1)), port=free_port()) as address:
        pages = [browser.new_page() for _ in range(3)]
        for page in pages:
            page.goto(address)
            ask(page, scenes[0], "sky, grass")
            page.wait_for_timeout(500)
        expect(pages[2].locator(".toast-body")).to_contain_text("busy. Please try again")
        go_on.set()
        for page in pages[:2]:
            expect(page.locator(".viewer .times")).to_contain_text("Image")
        for page in pages:
            page.close()


def test_an_example_needs_one_click(visit: Visit) -> None:
    page = visit(390, 844)
    page.locator("#scenes button.gallery-item").first.click()
    page.wait_for_selector(".viewer[data-state=full]")
    assert len(names(page)) > 1
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, "fits a phone"


def test_the_other_model(visit: Visit, scenes: list[Path]) -> None:
    page = visit()
    page.click("#model input")
    page.get_by_role("option", name="other", exact=True).click()
    segment(page, scenes[0])
    assert "cached" not in page.locator(".times").inner_text()


def test_interface_for_programs(visit: Visit, address: str, scenes: list[Path], segmenter: Segmenter) -> None:
    client = Client(address, verbose=False, download_files=False)
    answer = json.loads(client.predict(handle_file(scenes[0]), WORDS, "one", api_name="/segment"))
    found = {one["name"]: one["pixels"] for one in answer["classes"]}
    assert found == segmenter(scenes[0], WORDS).areas()
    page = visit()
    page.click("text=Use via API")
    page.wait_for_selector("text=/segment")


def test_addresses_are_not_fetched(address: str, strangers: list[object]) -> None:
    image = {"path": "http://203.0.113.7/a.png", "meta": {"_type": "gradio.FileData"}}
    refused = httpx.post(f"{address}gradio_api/call/segment", json={"data": [image, "sky", "one"]})
    assert refused.status_code == 400
    assert refused.json() == {"detail": "URLs are not downloaded; upload the image itself."}
    assert strangers == []
