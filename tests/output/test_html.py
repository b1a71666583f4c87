"""HTML with nothing from elsewhere."""

import numpy as np
import pytest

from ahs_seg.output.html import to_html
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.drawn_images import drawn
from tests.support.memory import peak_bytes
from tests.support.small_methods import SHORT
from tests.support.tiny_models import ColourMethod


def test_notebooks_show_an_image_without_anything_from_elsewhere() -> None:
    image = drawn(40, 49)
    segmenter = Segmenter(ColourMethod(), prompts=SHORT)
    html = segmenter(image, ["<script>alert(1)</script>", "a & b"])._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "a &amp; b" in html
    assert "http" not in html
    assert html.count("data:image/png;base64,") == 1


@pytest.mark.parametrize("size", [(1, 100_000), (100_000, 1)])
def test_a_strip_makes_a_small_page(size: tuple[int, int]) -> None:
    labels, scores = np.zeros(size, np.int32), np.zeros(size, np.float32)
    result = Segmentation(np.zeros((*size, 3), np.uint8), labels, scores, Vocabulary.parse("sky"))
    assert len(to_html(result)) < 100_000
    assert peak_bytes(lambda: to_html(result)) < 60_000_000


def test_notebooks_show_the_warnings() -> None:
    labels, scores = np.zeros((4, 4), np.int32), np.zeros((4, 4), np.float32)
    image, words = np.zeros((4, 4, 3), np.uint8), Vocabulary.parse("sky")
    assert "Warning" not in to_html(Segmentation(image, labels, scores, words))
    result = Segmentation(image, labels, scores, words, warnings=("a < b",))
    assert "<br>Warning: a &lt; b</caption>" in to_html(result)
    assert "doubtful: a < b" in repr(result)
