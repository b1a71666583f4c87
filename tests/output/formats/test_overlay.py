"""Overlays beside their legend."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.io.images import read_image
from ahs_seg.output.formats import ExportItem, FormatError, open_format
from ahs_seg.output.formats.overlay import DOUBTFUL, overlay_of, write_image, write_overlay
from ahs_seg.output.legend import OverlayFormat, OverlayStyle, overlay_with_legend
from ahs_seg.output.segmentation import Segmentation
from tests.support.results import WORDS, blobs, item, made


def test_overlay_shows_the_image_and_a_legend(tmp_path: Path):
    open_format("overlay", tmp_path, WORDS).add(item("x", blobs(0, size=(300, 300))))
    image = read_image(tmp_path / "x.overlay.png")
    assert image.shape[0] == 300
    assert image.shape[1] > 300


def test_the_legend_of_a_doubtful_result_says_so_first(tmp_path: Path):
    result = made(np.zeros((300, 300), int))
    write_overlay(ExportItem(Path("plain"), result), tmp_path / "plain.png")
    write_overlay(ExportItem(Path("a"), replace(result, warnings=("the labels mean little.",))), tmp_path / "doubt.png")
    expected = overlay_with_legend(result.image, result.labels, result.vocabulary.labels, note=DOUBTFUL)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "doubt.png")), expected)
    assert (tmp_path / "doubt.png").read_bytes() != (tmp_path / "plain.png").read_bytes()


def test_a_drawn_result_that_is_doubtful_says_so_too():
    labels = np.zeros((300, 300), np.int32)
    result = Segmentation(np.zeros((300, 300, 3), np.uint8), labels, labels.astype(np.float32), WORDS)
    doubtful = replace(result, warnings=("the labels mean little.",))
    expected = overlay_with_legend(result.image, labels, WORDS.labels, note=DOUBTFUL)
    assert np.array_equal(doubtful.plot(), expected)
    assert np.array_equal(np.asarray(doubtful.to_pil()), expected)
    assert not np.array_equal(result.plot(), expected)


@pytest.mark.parametrize("file_format", ["png", "jpg", "webp"])
def test_a_run_writes_overlays_in_the_format_that_was_asked_for(tmp_path: Path, file_format: OverlayFormat):
    style = OverlayStyle(file_format=file_format)
    exporter, given = open_format("overlay", tmp_path, WORDS, style), item("x", blobs(0, size=(300, 300)))
    assert not exporter.has(Path("x"))
    exporter.add(given)
    assert exporter.has(Path("x"))
    image = Image.open(tmp_path / f"x.overlay.{file_format}")
    assert image.format == {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}[file_format]
    wrong = np.abs(np.asarray(image.convert("RGB")).astype(int) - overlay_of(given, style))
    assert wrong.mean() <= {"png": 0, "jpg": 12, "webp": 16}[file_format]


@pytest.mark.parametrize(
    ("ending", "longest", "instead"),
    [("webp", 16383, "png or jpg"), ("jpg", 65500, "png"), ("jpeg", 65500, "png")],
)
def test_a_side_that_is_too_long_for_the_format_is_an_error_that_names_another(
    tmp_path: Path, ending: str, longest: int, instead: str
):
    (path := tmp_path / f"a.{ending}").write_bytes(b"earlier")
    for size in ((1, longest + 1), (longest + 1, 1)):
        message = rf"a\.{ending}: an overlay of {size[1]}x{size[0]} pixels; .* a side\. Write it as {instead}\."
        with pytest.raises(FormatError, match=message):
            write_image(path, np.zeros((*size, 3), np.uint8))
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [(path.name, b"earlier")]
    write_image(path, np.zeros((1, longest, 3), np.uint8))
    assert Image.open(path).size == (longest, 1)
    write_image(tmp_path / "a.png", np.zeros((1, longest + 1, 3), np.uint8))


def test_an_overlay_that_is_too_wide_for_webp_says_so(tmp_path: Path):
    result = made(np.zeros((2, 17000), int))
    with pytest.raises(FormatError, match=r"an overlay of \d+x\d+ pixels; WEBP takes at most 16383 a side"):
        result.save(tmp_path / "a.webp")
    assert list(tmp_path.iterdir()) == []
    assert result.save(tmp_path / "a.jpg").is_file()
