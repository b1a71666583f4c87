"""Open files and objects like them as images."""

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ahs_seg.io.images import ImageError, read_image
from ahs_seg.io.urls import file_of
from tests.support.drawn_images import drawn

PIXELS = drawn(7, 9)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


class Download:
    """What a library that reads from a network gives: it can be read once, and has no place to go back to."""

    def __init__(self, content: bytes) -> None:
        self.rest = content

    def read(self, size: int = -1, /) -> bytes:
        found, self.rest = self.rest, b""
        return found


def test_they_are_read_from_their_beginning_as_often_as_one_likes(path: Path) -> None:
    written = io.BytesIO()
    Image.fromarray(PIXELS).save(written, "PNG")  # stands at its end now
    with path.open("rb") as opened, tempfile.NamedTemporaryFile() as temporary:
        temporary.write(path.read_bytes())
        assert np.array_equal(read_image(temporary), PIXELS)
        for source in (opened, written, opened, written, io.BytesIO(path.read_bytes()), Download(path.read_bytes())):
            assert np.array_equal(read_image(source), PIXELS)


class Upload:
    """What a framework for web pages gives: it passes on to the file that it wraps."""

    def __init__(self, content: bytes) -> None:
        self.stream = io.BytesIO(content)

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


def test_a_file_that_passes_on_is_one(path: Path) -> None:
    upload: Any = Upload(path.read_bytes())
    assert np.array_equal(read_image(upload), PIXELS)


def test_the_file_behind_it_is_known_so_that_no_result_replaces_it(path: Path) -> None:
    with path.open("rb") as opened:
        assert file_of(opened) == path
    assert file_of(io.BytesIO()) is None


def test_what_cannot_be_read_is_named(path: Path) -> None:
    with path.open(encoding="latin-1") as text, pytest.raises(ImageError, match=r"photo\.png: .* gives str, not bytes"):
        read_image(text)  # type: ignore[arg-type]  # as a caller may do
    with path.open("rb") as file:
        pass
    with pytest.raises(ImageError, match=r"photo\.png: the open file cannot be read \(.*closed.*\)\. Open it again"):
        read_image(file)
    with pytest.raises(ImageError, match=r"^image: empty, or not in a supported format"):
        read_image(io.BytesIO())
