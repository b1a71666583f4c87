"""Overlays beside their legend."""

from pathlib import Path

from ahs_seg.io.images import read_image
from ahs_seg.output.formats import open_format
from tests.support.results import WORDS, blobs, item


def test_overlay_shows_the_image_and_a_legend(tmp_path: Path):
    open_format("overlay", tmp_path, WORDS).add(item("x", blobs(0, size=(300, 300))))
    image = read_image(tmp_path / "x.overlay.png")
    assert image.shape[0] == 300
    assert image.shape[1] > 300
