"""Values of other types than 8 bits, shown in 8 bits; what is nearly black is stretched and said."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from PIL import Image

from ahs_seg.io.images import read_image
from ahs_seg.io.orientation import Orientation
from ahs_seg.io.pixels import FULL_RANGE, Bands, ImageError, Raster, find_levels
from tests.support.drawn_images import drawn
from tests.support.geotiffs import geotiff
from tests.support.memory import peak_bytes

REFLECTANCE = np.random.default_rng(0).integers(200, 3000, (3, 40, 50)).astype(np.uint16)


def bands_of(values: np.ndarray, orientation: int = 1) -> Bands:
    size = values.shape[0], values.shape[1]
    turned = Orientation.of_exif(orientation)
    return Bands("it", size, values.dtype, lambda rows, columns: values[rows, columns], orientation=turned)


def test_reflectance_is_stretched_and_said_whichever_way_it_comes(tmp_path, caplog, monkeypatch):
    path = geotiff(tmp_path / "sentinel.tif", REFLECTANCE, photometric="RGB")
    with caplog.at_level(logging.WARNING):
        image = read_image(path)
    assert image.min() == 0
    assert image.max() == 255
    assert 110 < image.mean() < 145
    assert "sentinel.tif: 98 % of its 16-bit values lie in 2" in caplog.text
    assert "gdal_translate -ot Byte -scale 2" in caplog.text
    assert np.array_equal(read_image(np.moveaxis(REFLECTANCE, 0, -1)), image)
    monkeypatch.setitem(__import__("sys").modules, "rasterio", None)
    with pytest.raises(ImageError, match=r"sentinel\.tif: its 16-bit values use the lowest 12 of 256 .*ahs-seg\[geo\]"):
        read_image(path)


def test_one_bright_pixel_and_pixels_without_data_do_not_count(tmp_path):
    values = REFLECTANCE.copy()
    values[:, :5] = 65535
    values[:, 20, 20] = 60_000
    image = read_image(geotiff(tmp_path / "a.tif", values, nodata=65535))
    assert 110 < image[5:].mean() < 145
    assert (image[:5] == 255).all()


def test_what_uses_its_range_is_not_stretched(caplog):
    for values in (np.full((4, 4), 300, np.uint16), np.linspace(0, 65535, 99).astype(np.uint16)[None]):
        assert np.array_equal(read_image(values)[..., 0], values >> 8)
    dark = (drawn(20, 20) // 16).astype(np.float32) / 255
    assert read_image(dark).max() < 16, "floats are shown as they are, like the 8 bits that they come from"
    assert caplog.text == ""


def test_floats_without_data_do_not_count(tmp_path):
    values = np.random.default_rng(0).random((3, 9, 9)).astype(np.float32)
    values[:, 0] = -9999
    for nodata in (-9999, float("nan")):
        values[:, 0] = nodata
        image = read_image(geotiff(tmp_path / "a.tif", values, nodata=nodata))
        assert (image[0] == 0).all()
        assert np.array_equal(image[1:], np.moveaxis((values[:, 1:] * 255 + 0.5).astype(np.uint8), 0, -1))
    values[:, 0] = -9999
    with pytest.raises(ImageError, match=r"float32 with values -9999 to .*must lie in \[0, 1\].*gdal_translate"):
        read_image(geotiff(tmp_path / "b.tif", values))


@pytest.mark.parametrize("dtype", ["int16", "uint32", "int32"])
def test_other_integers_are_values_of_16_bits_or_refused(tmp_path, dtype):
    values = np.array([[[0, 256, 30_000, 32_767]]], dtype)
    assert read_image(geotiff(tmp_path / "a.tif", values))[0, :, 0].tolist() == [0, 1, 117, 127]
    values[0, 0, 0] = 70_000 if dtype == "uint32" else -3
    with pytest.raises(ImageError, match=rf"type {dtype} with values .*; integers must lie in 0\.\.65535"):
        read_image(geotiff(tmp_path / "b.tif", values))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_windows_are_parts_of_the_whole(orientation):
    stored = drawn(9, 14)
    raster = Raster(bands_of(stored, orientation))
    whole = Orientation.of_exif(orientation).upright(stored)
    assert raster.size == whole.shape[:2]
    assert np.array_equal(raster.whole(), whole)
    assert np.array_equal(raster.rows(2, 5), whole[2:5])
    assert np.array_equal(raster.window(slice(1, 7), slice(3, 8)), whole[1:7, 3:8])


def test_eight_bits_need_no_levels():
    def unread(rows: slice, columns: slice) -> np.ndarray:
        raise AssertionError("read")

    assert find_levels(Bands("it", (9, 9), np.dtype(np.uint8), unread)) is FULL_RANGE


def test_values_are_converted_block_by_block():
    values = np.zeros((2000, 2000, 3), np.uint16)
    assert peak_bytes(lambda: read_image(values)) < 3 * 2000 * 2000 + 100_000_000
    image = Image.new("P", (4000, 4000))
    image.info["transparency"] = 0
    assert peak_bytes(lambda: read_image(image)) < 4 * 4000 * 4000 + 60_000_000
