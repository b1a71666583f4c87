import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine

from ahs_seg.io.images import read_labels
from ahs_seg.output.formats import FormatError, open_format
from ahs_seg.output.formats.geotiff import label_writer
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.results import WORDS, blobs, item, made

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
PLACE = Affine(0.5, 0.1, 431000.0, 0.05, -0.5, 5411000.0)


def scene(path: Path, size: tuple[int, int] = (23, 31), **place: Any) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=3, height=size[0], width=size[1], **place
    ) as file:
        file.write(np.zeros((3, *size), np.uint8))
    return path


def test_the_georeference_is_that_of_the_source(tmp_path: Path):
    labels = blobs(1, unknown=True)
    source = scene(tmp_path / "scene.tif", transform=PLACE, crs="EPSG:32632")
    exporter = open_format("geotiff", tmp_path / "out", WORDS)
    exporter.add(item("deep/scene", labels, source=source))
    assert exporter.has(Path("deep/scene"))
    with rasterio.open(tmp_path / "out/deep/scene.tif") as found:
        assert found.transform == PLACE
        assert found.crs == rasterio.crs.CRS.from_epsg(32632)
        assert np.array_equal(found.read(1), np.where(labels == IGNORE, 255, labels))
        assert np.array_equal(found.dataset_mask() == 0, labels == IGNORE)
        assert json.loads(found.tags()["CLASSES"]) == WORDS.labels
        assert found.nodata == 255
    assert [path.name for path in (tmp_path / "out/deep").iterdir()] == ["scene.tif"]


@pytest.mark.parametrize("marked", ["nodata", "mask", "alpha"])
def test_pixels_without_data_get_no_label(marked: str, tmp_path: Path):
    valid, labels = np.arange(23 * 31).reshape(23, 31) % 5 > 0, blobs(1)
    bands = {"nodata": 3, "mask": 3, "alpha": 4}[marked]
    shape = {"count": bands, "height": 23, "width": 31}
    more = (
        {"nodata": 0} if marked == "nodata" else {"photometric": "RGB", "alpha": "yes" if marked == "alpha" else "no"}
    )
    with rasterio.open(tmp_path / "scene.tif", "w", driver="GTiff", dtype="uint8", **shape, **more) as file:
        file.write(np.broadcast_to(valid * np.uint8(255), (bands, 23, 31)))
        if marked == "mask":
            file.write_mask(valid)
    open_format("geotiff", tmp_path, WORDS).add(item("found", labels, source=tmp_path / "scene.tif"))
    with rasterio.open(tmp_path / "found.tif") as found:
        assert np.array_equal(found.read(1), np.where(valid, labels, 255))


def test_ground_control_points_are_kept(tmp_path: Path):
    points = [GroundControlPoint(row, column, 10.0 + column, 50.0 - row) for row, column in ((0, 0), (0, 30), (22, 0))]
    source = scene(tmp_path / "scene.tif", gcps=points, crs="EPSG:4326")
    open_format("geotiff", tmp_path, WORDS).add(item("found", blobs(1), source=source))
    with rasterio.open(tmp_path / "found.tif") as found:
        assert [(p.row, p.col, p.x, p.y) for p in found.gcps[0]] == [(p.row, p.col, p.x, p.y) for p in points]
        assert found.gcps[1].to_epsg() == 4326


def test_images_without_a_place_have_none(tmp_path: Path):
    made(blobs(1)).save(tmp_path / "x.tif")
    open_format("geotiff", tmp_path, WORDS).add(item("y", blobs(1), source=scene(tmp_path / "plain.tif")))
    for name in ("x.tif", "y.tif"):
        with rasterio.open(tmp_path / name) as found:
            assert found.crs is None
            assert found.transform.is_identity
        assert np.array_equal(read_labels(tmp_path / name), blobs(1))


def test_windows_make_one_map(tmp_path: Path):
    labels = blobs(3, size=(600, 500), classes=300)
    words = Vocabulary.parse([f"thing {index}" for index in range(300)])
    labels[0, :5] = IGNORE
    with label_writer(tmp_path / "big.tif", words, size=(600, 500)) as writer:
        assert not (tmp_path / "big.tif").exists()
        for top in range(0, 600, 250):
            for left in range(0, 500, 200):
                writer.write(np.ascontiguousarray(labels[top : top + 250, left : left + 200]), top=top, left=left)
    assert np.array_equal(read_labels(tmp_path / "big.tif"), np.where(labels == IGNORE, 65535, labels))


def test_a_kill_leaves_no_map(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), label_writer(tmp_path / "x.tif", WORDS, size=(4, 4)):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    exporter = open_format("geotiff", tmp_path, WORDS)
    with pytest.raises(FormatError, match=r"40x30 as a raster, its result 31x23"):
        exporter.add(item("x", blobs(1), source=scene(tmp_path / "other.tif", (30, 40))))
    (tmp_path / "broken.tif").write_bytes(b"II*\0")
    with pytest.raises(FormatError, match=r"broken\.tif: its georeference cannot be read"):
        exporter.add(item("x", blobs(1), source=tmp_path / "broken.tif"))
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(FormatError, match=r"ahs-seg\[geo\]"):
        exporter.add(item("x", blobs(1)))
