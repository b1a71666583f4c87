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
from ahs_seg.io.gdal_bands import has_invalid_pixels, window_of
from ahs_seg.io.gdal_writing import whole_tiff
from ahs_seg.io.orientation import Orientation
from ahs_seg.io.pixels import ImageError
from ahs_seg.io.rasters import open_dataset
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.formats.base import ExportItem, FormatError, check_16_bits, check_utf8
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from rasterio.io import DatasetReader, DatasetWriter

BLOCK: Final = 256
TAG: Final = "CLASSES"
"""Name of the metadata item with the class names, as a JSON list."""


@dataclass(frozen=True, slots=True)
class Source:
    """The raster that an image was read from: its georeference, and how its pixels are turned upright."""

    dataset: DatasetReader
    orientation: Orientation
    georeference: dict[str, Any]


@dataclass(frozen=True)
class LabelWriter:
    """GeoTIFF label map open for writing, window by window, of an image of `size` (height, width).

    The labels of a georeferenced source are turned back to its own rows and columns, to which its georeference refers.
    Pixels that are invalid in the source (by its nodata value, mask or alpha channel) are written as unknown, whatever
    their label.
    """

    dataset: DatasetWriter
    unknown: int
    size: tuple[int, int]
    source: Source | None = None

    def write(self, labels: Int32[np.ndarray, "h w"], *, top: int = 0, left: int = 0) -> None:
        """Write the labels of a window whose upper left corner is at (top, left)."""
        window = slice(top, top + labels.shape[0]), slice(left, left + labels.shape[1])
        values = np.where(labels == IGNORE, self.unknown, labels).astype(self.dataset.dtypes[0])
        if self.source is not None:
            turned = self.source.orientation
            stored = turned.window(*window, self.size)
            if has_invalid_pixels(self.source.dataset):
                mask = self.source.dataset.dataset_mask(window=window_of(*stored))
                values[turned.upright(mask) == 0] = self.unknown
            if self.source.georeference:
                window, values = stored, turned.stored(values)
        self.dataset.write(np.ascontiguousarray(values), 1, window=window_of(*window))


@contextmanager
def label_writer(
    path: Path, vocabulary: Vocabulary, *, size: tuple[int, int], like: Path | None = None
) -> Iterator[LabelWriter]:
    """Writer of a tiled, compressed GeoTIFF of `size` (height, width); the file appears when the block ends normally.

    Transform, coordinate reference system, ground control points, rational polynomial coefficients (RPCs), the order of
    rows and columns, and the pixels without data are taken from `like`. Unknown
    pixels have the value 255 (65535 with more than 255 classes), which is also the nodata value of the file. The class
    names are stored as metadata (`CLASSES`).

    Raises:
        MissingPackageError: rasterio is not installed.
        FormatError: `like` cannot be opened or has another size, a name is not UTF-8, or there are more than 65,535
            classes.
    """
    rasterio = _rasterio()
    check_utf8(path)
    check_utf8(like)
    check_16_bits(vocabulary)
    wide = len(vocabulary) > 255
    unknown = 65535 if wide else 255
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": "uint16" if wide else "uint8",
        "count": 1,
        "nodata": unknown,
        "compress": "deflate",
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "bigtiff": "if_safer",
    }
    with replacing_path(path) as draft, warnings.catch_warnings(), _opened(like, size) as source:
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        found = {} if source is None else source.georeference
        height, width = source.orientation.size(size) if source is not None and found else size
        with (
            whole_tiff(draft, path),
            rasterio.open(draft, "w", **profile, height=height, width=width, **found) as dataset,
        ):
            dataset.update_tags(**{TAG: json.dumps(vocabulary.labels, ensure_ascii=False)})
            if not wide:
                colours = ClassColours(vocabulary.labels)
                table = {index: (*colours.of(index), 255) for index in range(len(vocabulary))}
                dataset.write_colormap(1, table | {unknown: (128, 128, 128, 0)})
            yield LabelWriter(dataset, unknown, size, source)


@contextmanager
def _opened(path: Path | None, size: tuple[int, int]) -> Iterator[Source | None]:
    """The raster of a file, checked to have the given size; `None` without a path, or if its format is no raster."""
    if path is None:
        yield None
        return
    with ExitStack() as stack:
        try:
            found = stack.enter_context(open_dataset(path))
            georeference = {} if found is None else _georeference(found[0])
        except (ImageError, UnicodeError) as error:
            raise FormatError(
                f"{path}: its georeference cannot be read ({error}). Repair it, or choose another format."
            ) from None
        if found is None:
            yield None
            return
        dataset, orientation = found
        height, width = orientation.size((dataset.height, dataset.width))
        if (height, width) != size:
            raise FormatError(
                f"{path} is {width}x{height} as a raster, its result {size[1]}x{size[0]}. Segment it again, or choose "
                "another format."
            )
        yield Source(dataset, orientation, georeference)


def _georeference(source: DatasetReader) -> dict[str, Any]:
    """Transform or ground control points with their reference system, and RPCs; empty if a raster has none."""
    points, system = source.gcps
    found: dict[str, Any] = {} if source.rpcs is None else {"rpcs": source.rpcs}
    if points:
        return found | {"gcps": points, "crs": system}
    return found if source.transform.is_identity else found | {"transform": source.transform, "crs": source.crs}


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
