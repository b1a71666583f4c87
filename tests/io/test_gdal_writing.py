"""TIFF files of GDAL are whole, or it is an error that says why."""

import errno
from pathlib import Path

import numpy as np
import pytest
from rasterio.errors import RasterioIOError

from ahs_seg.io import gdal_writing
from ahs_seg.io.gdal_writing import IncompleteFileError, whole_tiff
from tests.support.geotiffs import geotiff


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).integers(0, 255, (1, 600, 600), np.uint8)
    return geotiff(tmp_path / "draft.tif", values, tiled=True, blockxsize=256, blockysize=256, compress="deflate")


def cut(draft: Path) -> None:
    draft.write_bytes(draft.read_bytes()[:-1])


def test_a_whole_file_is_fine(draft: Path) -> None:
    with whole_tiff(draft, Path("a.tif")):
        pass


def test_a_file_that_gdal_has_cut_without_a_word(draft: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(IncompleteFileError, match=r"a\.tif: was not written as a whole"),
        whole_tiff(draft, Path("a.tif")),
    ):
        cut(draft)
    monkeypatch.setattr(gdal_writing, "FULL_BYTES", 2**80)
    with pytest.raises(OSError, match=r"No space left on device: 'a\.tif'") as error, whole_tiff(draft, Path("a.tif")):
        pass
    assert error.value.errno == errno.ENOSPC


def test_an_error_of_gdal_says_whether_the_disk_is_full(draft: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IncompleteFileError, match=r"a\.tif: cannot be written \(Write failed"):
        fails(draft)
    monkeypatch.setattr(gdal_writing, "FULL_BYTES", 2**80)
    with pytest.raises(OSError, match="No space left on device"):
        fails(draft)


def fails(draft: Path) -> None:
    with whole_tiff(draft, Path("a.tif")):
        raise RasterioIOError("Write failed. See previous exception for details.")
