import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.transform import Affine

from ahs_seg.errors import MissingPackageError
from ahs_seg.io.images import read_labels
from ahs_seg.io.orientation import Orientation
from ahs_seg.output.formats import FormatError, open_format
from ahs_seg.output.formats.geotiff import label_writer
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.geotiffs import with_tag
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


def test_a_saved_result_has_the_georeference_of_its_file(tmp_path: Path):
    source = scene(tmp_path / "scene.tif", transform=PLACE, crs="EPSG:32632", nodata=0)  # no pixel has data
    result = replace(made(blobs(1)), source=source)
    with rasterio.open(result.save(tmp_path / "labels.tif")) as found:
        assert (found.transform, found.crs) == (PLACE, rasterio.crs.CRS.from_epsg(32632))
        assert (found.read(1) == 255).all()
    (image,) = json.loads(result.save(tmp_path / "deep.json").read_text())["images"]
    assert image["file_name"] == "scene.tif"
    assert [image] == result.to_coco()["images"]
    (alone,) = json.loads(made([[0]]).save(tmp_path / "alone.json").read_text())["images"]
    assert alone["file_name"] == "alone.png"


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


def place_of(labels: np.ndarray, transform: Affine) -> dict[tuple[float, float], int]:
    """Label by position on earth."""
    return {
        (round(x, 6), round(y, 6)): int(label)
        for (row, column), label in np.ndenumerate(labels)
        for x, y in [transform @ (column + 0.5, row + 0.5)]
    }


@pytest.mark.parametrize("value", range(1, 9))
def test_labels_of_a_turned_source_lie_where_its_pixels_lie(value: int, tmp_path: Path):
    """The label of a pixel is at the position at which the source has that pixel, and the bounds are the same."""
    source = with_tag(scene(tmp_path / "scene.tif", transform=PLACE, crs="EPSG:32632"), 274, value)
    stored, turned = blobs(1), Orientation.of_exif(value)
    upright = np.ascontiguousarray(turned.upright(stored))
    open_format("geotiff", tmp_path, WORDS).add(item("whole", upright, source=source))
    with label_writer(tmp_path / "tiled.tif", WORDS, size=upright.shape, like=source) as writer:
        for top in range(0, len(upright), 9):
            writer.write(upright[top : top + 9], top=top)
    for name in ("whole.tif", "tiled.tif"):
        with rasterio.open(tmp_path / name) as found, rasterio.open(source) as scene_file:
            assert (found.transform, found.bounds, found.crs) == (PLACE, scene_file.bounds, scene_file.crs)
            assert place_of(found.read(1), found.transform) == place_of(stored, PLACE)


@pytest.mark.parametrize("value", [1, 4, 7])
def test_a_turned_source_without_a_place_gives_upright_labels(value: int, tmp_path: Path):
    size = (23, 31)
    with rasterio.open(
        tmp_path / "scene.tif", "w", "GTiff", dtype="uint8", count=1, height=23, width=31, nodata=0
    ) as f:
        f.write(np.arange(23 * 31).reshape(1, *size) % 5)
    source, turned = with_tag(tmp_path / "scene.tif", 274, value), Orientation.of_exif(value)
    upright = np.ascontiguousarray(turned.upright(blobs(1)))
    open_format("geotiff", tmp_path, WORDS).add(item("found", upright, source=source))
    invalid = turned.upright(np.arange(23 * 31).reshape(size) % 5 == 0)
    with rasterio.open(tmp_path / "found.tif") as found:
        assert np.array_equal(found.read(1), np.where(invalid, 255, upright))


def test_rational_polynomial_coefficients_are_kept(tmp_path: Path):
    numbers = [float(k) for k in range(20)]
    scale = {"height_off": 100.0, "lat_off": 50.0, "line_off": 11.0, "long_off": 8.0, "samp_off": 15.0}
    scale |= {"height_scale": 500.0, "lat_scale": 0.1, "line_scale": 11.0, "long_scale": 0.1, "samp_scale": 15.0}
    lines = {"line_num_coeff": numbers, "line_den_coeff": numbers, "samp_num_coeff": numbers, "samp_den_coeff": numbers}
    source = scene(tmp_path / "scene.tif", rpcs=RPC(**scale, **lines))
    open_format("geotiff", tmp_path, WORDS).add(item("found", blobs(1), source=source))
    with rasterio.open(tmp_path / "found.tif") as found, rasterio.open(source) as expected:
        assert found.rpcs is not None
        assert found.rpcs.to_dict() == expected.rpcs.to_dict()


@pytest.mark.parametrize("name", ["photo.webp", "photo.jpg", "photo.gif"])
def test_images_of_other_formats_give_maps_without_a_place(name: str, tmp_path: Path):
    Image.new("RGB", (31, 23)).save(tmp_path / name)
    open_format("geotiff", tmp_path, WORDS).add(item("found", blobs(1), source=tmp_path / name))
    with rasterio.open(tmp_path / "found.tif") as found:
        assert found.transform.is_identity
        assert np.array_equal(found.read(1), blobs(1))


def test_images_without_a_place_have_none(tmp_path: Path):
    made(blobs(1)).save(tmp_path / "x.tif")
    open_format("geotiff", tmp_path, WORDS).add(item("y", blobs(1), source=scene(tmp_path / "plain.tif")))
    for name in ("x.tif", "y.tif"):
        with rasterio.open(tmp_path / name) as found:
            assert found.crs is None
            assert found.transform.is_identity
        assert np.array_equal(read_labels(tmp_path / name), blobs(1))


def test_maps_are_tiled_and_pixels_without_a_label_are_transparent(tmp_path: Path):
    with label_writer(tmp_path / "map.tif", WORDS, size=(300, 520)) as writer:
        writer.write(np.zeros((300, 520), np.int32), top=0, left=0)
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.block_shapes == [(256, 256)]
        assert file.profile["tiled"]
        assert file.colormap(1)[255] == (128, 128, 128, 0)


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
    with pytest.raises(MissingPackageError, match=r"ahs-seg\[geo\]"):
        exporter.add(item("x", blobs(1)))


@pytest.mark.parametrize(("classes", "kind", "unknown"), [(255, "uint8", 255), (256, "uint16", 65535)])
def test_the_last_class_is_not_the_value_of_unknown_pixels(
    classes: int, kind: str, unknown: int, tmp_path: Path
) -> None:
    words = Vocabulary.parse([f"class {index}" for index in range(classes)])
    with label_writer(tmp_path / "map.tif", words, size=(1, 2)) as writer:
        writer.write(np.array([[classes - 1, IGNORE]], np.int32))
    with rasterio.open(tmp_path / "map.tif") as file:
        assert (file.dtypes[0], file.nodata) == (kind, unknown)
        assert file.read(1).tolist() == [[classes - 1, unknown]]
