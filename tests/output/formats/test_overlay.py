"""Overlays beside their legend."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ahs_seg.io.images import read_image
from ahs_seg.output.formats import ExportItem, open_format
from ahs_seg.output.formats.overlay import DOUBTFUL, write_overlay
from ahs_seg.output.legend import overlay_with_legend
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
