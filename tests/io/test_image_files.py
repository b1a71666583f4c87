"""Which files are images, which of them are read, and which hold several."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import Resampling

from ahs_seg.io.image_files import IMAGE_SUFFIXES, UNREAD_SUFFIXES, has_several_images
from ahs_seg.io.pillow_files import IMAGE_FORMATS
from tests.support.drawn_images import drawn


def test_every_extension_of_a_format_that_is_read_is_an_image() -> None:
    known = {suffix for suffix, name in Image.registered_extensions().items() if name in IMAGE_FORMATS}
    assert known - IMAGE_SUFFIXES <= {".pfm", ".avifs"}, "not images as people have them"
    assert {".jfif", ".jpe"} <= IMAGE_SUFFIXES
    assert not IMAGE_SUFFIXES & UNREAD_SUFFIXES.keys()


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".webp", ".avif", ".png"])
def test_several_images_in_one_file(tmp_path: Path, suffix: str) -> None:
    first, *rest = [Image.fromarray(drawn(8, 8, seed)) for seed in range(3)]
    first.save(tmp_path / f"many{suffix}", save_all=True, append_images=rest)
    first.save(tmp_path / f"one{suffix}")
    assert has_several_images(tmp_path / f"many{suffix}")
    assert not has_several_images(tmp_path / f"one{suffix}")
    (tmp_path / f"cut{suffix}").write_bytes((tmp_path / f"many{suffix}").read_bytes()[:30])
    assert not has_several_images(tmp_path / f"cut{suffix}")


def test_overviews_of_a_geotiff_are_the_same_image(tmp_path: Path) -> None:
    path = tmp_path / "field.tif"
    with rasterio.open(path, "w", driver="GTiff", width=512, height=512, count=1, dtype="uint8", tiled=True) as file:
        file.write(np.zeros((1, 512, 512), np.uint8))
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], Resampling.nearest)
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == 3
    assert not has_several_images(path)


def test_other_files_hold_none(tmp_path: Path) -> None:
    (tmp_path / "text.gif").write_text("GIF8, not really")
    assert not has_several_images(tmp_path / "text.gif")
    assert not has_several_images(tmp_path / "nowhere.gif")
