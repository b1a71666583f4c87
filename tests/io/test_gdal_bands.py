"""Which bands of a raster are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from ahs_seg.io.gdal_bands import dataset_bands, has_invalid_pixels, is_plain
from ahs_seg.io.images import ImageError, read_image
from ahs_seg.io.orientation import UPRIGHT
from ahs_seg.io.rasters import open_raster
from tests.support.geotiffs import geotiff

VALUES = np.random.default_rng(0).integers(0, 256, (5, 6, 7)).astype(np.uint8)


@pytest.mark.parametrize(("count", "dtype"), [(4, "uint16"), (5, "uint8"), (8, "float32")])
def test_bands_without_colours_are_refused_without_guessing_which_three(tmp_path: Path, count: int, dtype: str) -> None:
    values = np.zeros((count, 4, 4), dtype)
    path = geotiff(tmp_path / "a.tif", values, photometric="MINISBLACK", alpha="NO")
    with pytest.raises(ImageError, match=rf"{count} bands \(gray, undefined.*-b R -b G -b B") as whole:
        read_image(path)
    assert "-b 4 -b 3 -b 2" not in str(whole.value)
    with pytest.raises(ImageError) as rows, open_raster(path):
        pass
    assert str(rows.value) == str(whole.value)


def test_colours_are_found_by_their_names_wherever_they_lie(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif", VALUES, photometric="MINISBLACK", alpha="NO")
    names = (ColorInterp.undefined, ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined)
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = names
    assert np.array_equal(read_image(path), np.moveaxis(VALUES[[3, 2, 1]], 0, -1))


def test_complex_values_are_refused(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif", np.zeros((1, 4, 4), np.complex64))
    with pytest.raises(ImageError, match="values of type complex64"):
        read_image(path)


def test_nodata_masks_and_alpha_make_pixels_invalid(tmp_path: Path) -> None:
    for expected, profile in ((False, {}), (True, {"nodata": 3})):
        with rasterio.open(geotiff(tmp_path / "a.tif", VALUES[:3], **profile)) as dataset:
            assert has_invalid_pixels(dataset) is expected
            assert (dataset_bands(dataset, {}, UPRIGHT, "it").valid is not None) is expected


def test_what_gdal_converts_halfway_is_not_plain() -> None:
    assert [is_plain({262: value}) for value in (0, 1, 2, 3, 5, 6, 8)] == [True] * 4 + [False] * 3
    assert is_plain({262: 6, 259: 7})
