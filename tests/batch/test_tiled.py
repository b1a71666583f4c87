"""Images of any size in a run: read in rows, written in bands, with the same result as from whole images."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from ahs_seg.batch import BatchConfig, segment_files
from ahs_seg.config import ConfigError
from ahs_seg.errors import SampleError
from ahs_seg.inference.tiling import TileConfig
from ahs_seg.io.rasters import open_raster
from ahs_seg.methods import ZeroShotConfig
from ahs_seg.methods.refinement import PamrConfig
from ahs_seg.output.legend import OverlayStyle
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.prompts import PromptConfig
from tests.support.builders import random_backbone
from tests.support.drawn_images import drawn, save
from tests.support.geotiffs import PLACE, geotiff, with_tag
from tests.support.tiny_models import LocalMethod

TILES = TileConfig(size=64, overlap=0.5)
FIVE = "a, b, c, d, e"


@pytest.fixture
def local() -> Segmenter:
    return Segmenter(LocalMethod(), prompts=PromptConfig(templates=("a {}",)))


def tiled(segmenter, inputs, out, words=FIVE, formats=("png", "overlay"), **settings):
    config = BatchConfig(formats=formats, tiles=TILES)
    return segment_files(segmenter, inputs, words, out, config=config, progress=False, **settings)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_files_are_those_of_whole_images(local, tmp_path, suffix):
    path = save(tmp_path / f"big{suffix}", drawn(160, 224))
    assert tiled(local, [path], tmp_path / "tiles").done == 1
    segment_files(local, [path], FIVE, tmp_path / "whole", progress=False)
    with Image.open(tmp_path / "tiles/big.png") as found, Image.open(tmp_path / "whole/big.png") as expected:
        assert found.mode == expected.mode == "P"
        assert found.getpalette() == expected.getpalette()
        assert (np.asarray(found) == np.asarray(expected)).mean() > 0.9999
    names = [json.loads((tmp_path / folder / "big.classes.json").read_text()) for folder in ("tiles", "whole")]
    assert names[0]["classes"] == names[1]["classes"] == ["a", "b", "c", "d", "e"]
    assert list(names[0]["pixels"]) == list(names[1]["pixels"])
    overlays = [np.asarray(Image.open(tmp_path / folder / "big.overlay.png")) for folder in ("tiles", "whole")]
    assert (overlays[0] == overlays[1]).mean() > 0.99


def test_overlays_of_tiled_runs_have_the_format_that_was_asked_for(local, tmp_path):
    path = save(tmp_path / "big.png", drawn(160, 224))
    config = BatchConfig(formats=("overlay",), tiles=TILES, overlay=OverlayStyle(file_format="jpg"))
    segment_files(local, [path], FIVE, tmp_path / "tiles", config=config, progress=False)
    with Image.open(tmp_path / "tiles/big.overlay.jpg") as found:
        assert found.format == "JPEG"


def test_warnings_are_those_of_whole_images(local, tmp_path, monkeypatch):
    path = save(tmp_path / "big.png", drawn(160, 224))
    reached: list[float] = []

    def doubtful(score: float, *_: object) -> tuple[str, ...]:
        reached.append(score)
        return ("doubtful.",)

    monkeypatch.setattr("ahs_seg.segmenter.doubts", doubtful)
    for summary in (tiled(local, [path], tmp_path / "tiles"), segment_files(local, [path], FIVE, tmp_path / "whole")):
        assert "doubtful." in str(summary.notes)
    assert reached[0] == pytest.approx(reached[1], abs=1e-3)
    overlays = [np.asarray(Image.open(tmp_path / folder / "big.overlay.png")) for folder in ("tiles", "whole")]
    assert overlays[0].shape == overlays[1].shape
    assert (overlays[0] == overlays[1]).mean() > 0.99


def test_geotiff_keeps_its_place_on_earth(local, tmp_path):
    image = drawn(300, 130)
    path = geotiff(tmp_path / "field.tif", np.moveaxis(image, -1, 0), tiled=True, blockxsize=64, blockysize=64)
    tiled(local, [path], tmp_path / "out", formats=("geotiff", "png"))
    (written,) = (tmp_path / "out").rglob("*.tif")
    with rasterio.open(written) as found:
        assert (found.crs.to_epsg(), found.transform) == (32632, PLACE)
        labels = found.read(1)
        assert found.is_tiled
    assert np.array_equal(labels, np.asarray(Image.open(tmp_path / "out/field.png")))


def test_images_that_cannot_be_read(local, tmp_path):
    bands = np.zeros((5, 40, 40), np.uint8)
    geotiff(tmp_path / "five.tif", bands)
    with pytest.raises(SampleError, match=r"five.tif: 5 bands .*gdal_translate"), open_raster(tmp_path / "five.tif"):
        pass
    (tmp_path / "remote.tif").write_text(
        "<VRTDataset rasterXSize='4' rasterYSize='4'><VRTRasterBand dataType='Byte' band='1'/></VRTDataset>"
    )
    whole = geotiff(tmp_path / "cut.tif", np.zeros((3, 400, 400), np.uint8) + 7).read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 3])
    save(tmp_path / "good.png", drawn(80, 80))
    summary = tiled(local, [tmp_path], tmp_path / "out")
    assert summary.done == 1
    assert sorted(Path(one.path).name for one in summary.failures) == ["cut.tif", "five.tif", "remote.tif"]
    left = {path.name for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert left == {"good.png", "good.classes.json", "good.overlay.png"}


def test_turned_images_stay_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(drawn(40, 60)).save(tmp_path / "turned.jpg", exif=exif)
    with open_raster(tmp_path / "turned.jpg") as raster:
        assert raster.size == (60, 40)


def test_resume(local, tmp_path):
    path = save(tmp_path / "big.png", drawn(100, 90))
    tiled(local, [path], tmp_path / "out")
    local.method.asked.clear()
    assert tiled(local, [path], tmp_path / "out", resume=True).skipped == 1
    assert local.method.asked == []


def test_formats_of_whole_images_are_refused(local, tmp_path):
    path = save(tmp_path / "big.png", drawn(100, 90))
    with pytest.raises(ValueError, match=r"coco: written from whole images; with tiles the formats are png"):
        tiled(local, [path], tmp_path / "out", formats=("png", "coco"))


def test_a_method_that_needs_whole_images_is_refused_before_anything_is_written(tmp_path):
    path = save(tmp_path / "big.png", drawn(100, 90))
    refined = Segmenter(ZeroShotConfig(refine=PamrConfig()).compose(random_backbone()))
    with pytest.raises(ConfigError, match=r"Leave out --tile, or set inference\.options\.refine=false"):
        tiled(refined, [path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_rasterio_images_are_read_at_once(local, tmp_path, monkeypatch):
    path = save(tmp_path / "big.tif", drawn(100, 90))
    expected = tiled(local, [path], tmp_path / "with").areas
    monkeypatch.setitem(__import__("sys").modules, "rasterio", None)
    assert tiled(local, [path], tmp_path / "without").areas == expected


@pytest.mark.parametrize("value", [3, 6])
def test_a_turned_geotiff_has_the_same_labels_whole_and_tiled(local, tmp_path, value):
    path = with_tag(geotiff(tmp_path / "field.tif", np.moveaxis(drawn(160, 224), -1, 0)), 274, value)
    assert tiled(local, [path], tmp_path / "tiles", formats=("geotiff", "png")).done == 1
    config = BatchConfig(formats=("geotiff", "png"))
    segment_files(local, [path], FIVE, tmp_path / "whole", config=config, progress=False)
    for name in ("png", "tif"):
        (found,), (expected,) = ([*(tmp_path / folder).rglob(f"*.{name}")] for folder in ("tiles", "whole"))
        with rasterio.open(found) as tiles, rasterio.open(expected) as whole:
            assert tiles.bounds == whole.bounds
            assert (tiles.read(1) == whole.read(1)).mean() > 0.999
            if name == "tif":
                assert (tiles.transform, tiles.shape) == (PLACE, (160, 224))
            else:
                assert tiles.shape == ((160, 224) if value == 3 else (224, 160))


def test_reflectance_is_stretched_and_noted_whole_and_tiled(local, tmp_path):
    dark = (drawn(160, 224).astype(np.uint16) * 11 + 200).transpose(2, 0, 1)
    path = geotiff(tmp_path / "field.tif", dark, photometric="RGB")
    runs = [
        tiled(local, [path], tmp_path / "tiles"),
        segment_files(local, [path], FIVE, tmp_path / "whole", progress=False),
    ]
    for run in runs:
        assert any("16-bit values in a small part of their range" in line for line in run.lines())
    maps = [np.asarray(Image.open(tmp_path / folder / "field.png")) for folder in ("tiles", "whole")]
    assert (maps[0] == maps[1]).mean() > 0.999
    with Image.open(tmp_path / "whole/field.overlay.png") as overlay:
        assert np.asarray(overlay)[:, :224].max() > 200


def test_a_fourth_band_without_a_name_is_left_out_whole_and_tiled(local, tmp_path):
    bands = np.concatenate([drawn(160, 224).transpose(2, 0, 1), np.zeros((1, 160, 224), np.uint8)])
    path = geotiff(tmp_path / "field.tif", bands, photometric="RGB", alpha="NO")
    plain = geotiff(tmp_path / "plain.tif", bands[:3], photometric="RGB")
    assert tiled(local, [path, plain], tmp_path / "tiles").done == 2
    segment_files(local, [path], FIVE, tmp_path / "whole", progress=False)
    names = ("tiles/field.png", "tiles/plain.png", "whole/field.png")
    maps = [np.asarray(Image.open(tmp_path / name)) for name in names]
    assert np.array_equal(maps[0], maps[1])
    assert (maps[0] == maps[2]).mean() > 0.999
