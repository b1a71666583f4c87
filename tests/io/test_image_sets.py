"""Folders, patterns and batches as lists of images, and what is a single image."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ahs_seg.batch.sources import list_sources
from ahs_seg.io.image_sets import images_of
from ahs_seg.io.images import ImageError, read_image
from tests.support.drawn_images import drawn
from tests.support.locked import lock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "deep/c.png", ".hidden.png", ".cache/d.png", "v[1].png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(drawn(4, 6)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_a_folder_is_its_images_as_for_the_command(folder: Path) -> None:
    found = images_of(folder)
    assert found == images_of(str(folder)) == [source.path for source in list_sources([folder])]
    assert [path.name for path in found] == ["a.PNG", "b.jpg", "c.png", "v[1].png"]


def test_a_file_that_cannot_be_reached_is_left_to_its_reading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock(folder / "deep", monkeypatch)
    found = images_of(folder)
    assert found is not None
    assert folder / "deep" / "c.png" in found
    with pytest.raises(ImageError, match=r"c\.png: cannot be opened .*Permission denied"):
        read_image(folder / "deep" / "c.png")
    assert images_of(folder / "deep" / "c.png") is None


def test_a_pattern_is_the_images_that_match(folder: Path) -> None:
    assert [path.name for path in images_of(folder / "**/*.png")] == ["c.png", "v[1].png"]
    assert images_of(f"{folder}/*.png") == [source.path for source in list_sources([f"{folder}/*.png"])]


def test_only_names_after_the_fixed_part_of_a_pattern_are_hidden(folder: Path) -> None:
    pattern = f"{folder}/.cache/*.png"
    assert images_of(pattern) == [folder / ".cache/d.png"] == [source.path for source in list_sources([pattern])]
    with pytest.raises(ImageError, match="no images"):
        images_of(f"{folder}/.c*/*.png")


def test_one_image_is_no_set(folder: Path) -> None:
    one = np.zeros((4, 6, 3), np.uint8)
    for source in (folder / "b.jpg", folder / "v[1].png", "https://a.example/?b[1].png", b"bytes", one, "missing.jpg"):
        assert images_of(source) is None


@pytest.mark.parametrize("pattern", ["*.gif", "notes.*", "deep/*.jpg"])
def test_nothing_found_is_an_error_that_names_the_extensions(folder: Path, pattern: str) -> None:
    with pytest.raises(ImageError, match=r"no images; files with these extensions count: .*\.jpg"):
        images_of(folder / pattern)
    (folder / "empty").mkdir()
    with pytest.raises(ImageError, match="empty: no images"):
        images_of(folder / "empty")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_batch_is_its_images_in_either_order_of_axes(channels: int) -> None:
    arrays = np.random.default_rng(0).integers(0, 256, (2, 8, 9, channels), dtype=np.uint8)
    expected = [read_image(one) for one in arrays]
    tensors = torch.from_numpy(arrays)
    first = (0, 3, 1, 2)
    for batch in (arrays, arrays.transpose(first), tensors, tensors.permute(first)):
        found = images_of(batch)
        assert found is not None
        assert all(np.array_equal(read_image(one), two) for one, two in zip(found, expected, strict=True))


def test_with_two_readings_the_usual_one_is_meant() -> None:
    batch = np.zeros((2, 3, 8, 3), np.uint8)
    assert [one.shape for one in images_of(batch)] == [(3, 8, 3)] * 2
    assert [tuple(one.shape) for one in images_of(torch.from_numpy(batch))] == [(3, 8, 3)] * 2
    assert images_of(np.zeros((0, 8, 8, 3), np.uint8)) == []
    with pytest.raises(ImageError, match=r"batch of shape \(2, 8, 9, 5\); allowed are \(b H W c\) and \(b c H W\)"):
        images_of(np.zeros((2, 8, 9, 5), np.uint8))
