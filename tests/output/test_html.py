"""HTML with nothing from elsewhere."""

from ahs_seg.segmenter import Segmenter
from tests.support.drawn_images import drawn
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
