"""Rows of large files are those of whole images."""

import numpy as np
from PIL import Image

from ahs_seg.io.images import read_image
from ahs_seg.io.rasters import open_raster
from tests.support.drawn_images import drawn, save
from tests.support.geotiffs import geotiff


def test_rows_are_those_of_the_whole_image(tmp_path):
    image = drawn(50, 70)
    alpha = np.linspace(0, 255, 50 * 70).astype(np.uint8).reshape(1, 50, 70)
    bands = np.moveaxis(image, -1, 0)
    files = [
        geotiff(tmp_path / "rgb.tif", bands),
        geotiff(tmp_path / "grey.tif", bands[:1]),
        geotiff(tmp_path / "wide.tif", bands.astype(np.uint16) * 257),
        geotiff(tmp_path / "clear.tif", np.concatenate([bands, alpha]), photometric="RGB", alpha="YES"),
        save(tmp_path / "image.png", image),
    ]
    Image.fromarray(image).quantize(16).save(tmp_path / "palette.tif")
    for path in [*files, tmp_path / "palette.tif"]:
        with open_raster(path) as raster:
            assert raster.size == (50, 70)
            rows = np.concatenate([raster.rows(top, min(top + 16, 50)) for top in range(0, 50, 16)])
        expected = image if path.name == "wide.tif" else read_image(path)
        assert np.array_equal(rows, expected), path.name
