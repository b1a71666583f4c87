"""GeoTIFF files of given bands."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

PLACE = Affine(0.5, 0, 400_000, 0, -0.5, 5_600_000)


def geotiff(path: Path, bands: np.ndarray, **profile) -> Path:
    shape = {"count": bands.shape[0], "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
    with rasterio.open(path, "w", "GTiff", crs="EPSG:32632", transform=PLACE, **shape, **profile) as dataset:
        dataset.write(bands)
    return path
