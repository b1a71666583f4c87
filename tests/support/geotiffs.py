"""GeoTIFF files of given bands."""

import struct
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


def with_tag(path: Path, tag: int, value: int) -> Path:
    """A TIFF with one more tag (a SHORT), or another value of it, in its place; 274 is the orientation."""
    content = path.read_bytes()
    assert content[:4] == b"II*\0", "a classic TIFF of little-endian numbers"
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    old = [content[start + 2 + 12 * index :][:12] for index in range(count)]
    kept = [entry for entry in old if struct.unpack_from("<H", entry)[0] != tag]
    entries = sorted(
        [*kept, struct.pack("<HHIHH", tag, 3, 1, value, 0)], key=lambda entry: struct.unpack("<H", entry[:2])
    )
    following = content[start + 2 + 12 * count :][:4]
    content += bytes(len(content) % 2)
    header = content[:4] + struct.pack("<I", len(content))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + following
    path.write_bytes(header + content[8:] + directory)
    return path
