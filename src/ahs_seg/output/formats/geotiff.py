"""GeoTIFF label maps with the georeference of the source image, written whole or in windows. Needs the extra `geo`."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import Int32

from ahs_seg.io.atomic import replacing_path
from ahs_seg.io.extras import require_extra
from ahs_seg.io.gdal_writing import whole_tiff
from ahs_seg.output.formats.base import ExportItem, FormatError, check_utf8
from ahs_seg.output.palette import colour
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from rasterio.io import DatasetReader, DatasetWriter

BLOCK: Final = 256
TAG: Final = "CLASSES"
"""Name of the metadata item with the class names, as a JSON list."""


@dataclass(frozen=True)
class LabelWriter:
    """GeoTIFF label map open for writing, window by window.

    Pixels that are invalid in `source` (by its nodata value, mask or alpha channel) are written as unknown, whatever
    their label.
    """

    dataset: DatasetWriter
    unknown: int
    source: DatasetReader | None = None

    def write(self, labels: Int32[np.ndarray, "h w"], *, top: int = 0, left: int = 0) -> None:
        """Write the labels of a window whose upper left corner is at (top, left)."""
        from rasterio.enums import MaskFlags
        from rasterio.windows import Window

        window = Window(left, top, labels.shape[1], labels.shape[0])
        values = np.where(labels == IGNORE, self.unknown, labels).astype(self.dataset.dtypes[0])
        if self.source is not None and any(MaskFlags.all_valid not in flags for flags in self.source.mask_flag_enums):
            values[self.source.dataset_mask(window=window) == 0] = self.unknown
        self.dataset.write(values, 1, window=window)


@contextmanager
def label_writer(
    path: Path, vocabulary: Vocabulary, *, size: tuple[int, int], like: Path | None = None
) -> Iterator[LabelWriter]:
    """Writer of a tiled, compressed GeoTIFF of `size` (height, width); the file appears when the block ends normally.

    Transform, coordinate reference system, ground control points and nodata pixels are taken from `like`. Unknown
    pixels have the value 255 (65535 with more than 255 classes), which is also the nodata value of the file. The class
    names are stored as metadata (`CLASSES`).

    Raises:
        MissingPackageError: rasterio is not installed.
        FormatError: `like` cannot be opened or has another size, or a name is not UTF-8.
    """
    rasterio = _rasterio()
    check_utf8(path)
    check_utf8(like)
    wide = len(vocabulary) > 255
    unknown = 65535 if wide else 255
    height, width = size
    profile = {
        "driver": "GTiff",
        "dtype": "uint16" if wide else "uint8",
        "count": 1,
        "height": height,
        "width": width,
        "nodata": unknown,
        "compress": "deflate",
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "bigtiff": "if_safer",
    }
    with replacing_path(path) as draft, warnings.catch_warnings(), _opened(like, size) as source:
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with whole_tiff(draft, path), rasterio.open(draft, "w", **profile, **_georeference(source)) as dataset:
            dataset.update_tags(**{TAG: json.dumps(vocabulary.labels, ensure_ascii=False)})
            if not wide:
                table = {index: (*colour(index), 255) for index in range(len(vocabulary))}
                dataset.write_colormap(1, table | {unknown: (128, 128, 128, 0)})
            yield LabelWriter(dataset, unknown, source)


@contextmanager
def _opened(path: Path | None, size: tuple[int, int]) -> Iterator[DatasetReader | None]:
    """Raster open for reading, checked to have the given size; `None` without a path."""
    if path is None:
        yield None
        return
    rasterio = _rasterio()
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        try:
            dataset = stack.enter_context(rasterio.open(path))
        except rasterio.errors.RasterioIOError as error:
            raise FormatError(f"{path}: its georeference cannot be read ({error}).") from None
        if (dataset.height, dataset.width) != size:
            raise FormatError(
                f"{path} is {dataset.width}x{dataset.height} as a raster, its result {size[1]}x{size[0]}; an image "
                "rotated by its EXIF orientation has no georeference. Choose another format for it."
            )
        yield dataset


def _georeference(source: DatasetReader | None) -> dict[str, Any]:
    """Transform and coordinate reference system of a raster, or its ground control points; empty if it has neither."""
    if source is None:
        return {}
    points, system = source.gcps
    if points:
        return {"gcps": points, "crs": system}
    return {} if source.transform.is_identity else {"transform": source.transform, "crs": source.crs}


def write_geotiff(item: ExportItem, path: Path) -> None:
    """Write the label map of one image with the georeference of its source file."""
    height, width = item.result.labels.shape
    with label_writer(path, item.result.vocabulary, size=(height, width), like=item.source) as writer:
        writer.write(item.result.labels)


def check_geotiff() -> None:
    """Check that rasterio is installed, so that GeoTIFF can be written.

    Raises:
        MissingPackageError: rasterio is not installed.
    """
    require_extra("geo", "the format geotiff", otherwise="choose another format")


def _rasterio() -> Any:
    check_geotiff()
    import rasterio
    import rasterio.errors

    return rasterio
