"""Any failure of one image is that of the image alone; what ends a run is a short list."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from ahs_seg.batch import BatchConfig, BatchSummary
from ahs_seg.batch.jobs import Failed
from ahs_seg.errors import RunEndedError
from ahs_seg.inference.tiling import TileConfig
from ahs_seg.output.legend import OverlayStyle
from ahs_seg.segmenter import Segmenter
from tests.support.batch_runs import run
from tests.support.drawn_images import drawn, save
from tests.support.films import film

ANNOTATIONS = ("png", "coco", "cvat", "labelstudio", "yolo", "geotiff")


def failed(summary: BatchSummary) -> dict[str, str]:
    return {Path(one.path).name: one.reason for one in summary.failures}


def damaged_avif(path: Path) -> Path:
    """An AVIF whose decoder raises `RuntimeError`."""
    Image.fromarray(drawn(24, 32)).save(path, "AVIF")
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            with Image.open(path) as image:
                image.load()
        except RuntimeError:
            return path
        except Exception:  # noqa: BLE001  # another kind of damage
            continue
    raise AssertionError("no byte does that")


@pytest.mark.parametrize("tiles", [None, TileConfig(size=64)])
def test_a_decoder_that_raises_anything(segmenter: Segmenter, tmp_path: Path, tiles: TileConfig | None) -> None:
    save(tmp_path / "in" / "good.png", drawn(24, 32))
    damaged_avif(tmp_path / "in" / "odd.avif")
    summary = run(segmenter, tmp_path / "in", tmp_path / "out", config=BatchConfig(formats=("png",), tiles=tiles))
    assert (summary.done, list(failed(summary))) == (1, ["odd.avif"])
    assert str(tmp_path / "in" / "odd.avif") in failed(summary)["odd.avif"]


def test_names_of_every_length(segmenter: Segmenter, tmp_path: Path) -> None:
    """246 bytes: the results fit, and so must their drafts; 250: the results do not fit."""
    longest = "n" * (246 - len(".png")) + ".png"
    save(tmp_path / "in" / longest, drawn(24, 32))
    save(tmp_path / "in" / "good.png", drawn(24, 32))
    save(tmp_path / "in" / ("m" * 246 + ".png"), drawn(24, 32))
    summary = run(segmenter, tmp_path / "in", tmp_path / "out", config=BatchConfig(formats=("png", "coco")))
    assert summary.done == 2
    assert (tmp_path / "out" / longest).is_file()
    assert [name[0] for name in failed(summary)] == ["m"]
    assert "File name too long" in summary.failures[0].reason


def test_an_overlay_that_is_too_wide_for_its_format(segmenter: Segmenter, tmp_path: Path) -> None:
    save(tmp_path / "in" / "wide.png", drawn(2, 16_500))
    save(tmp_path / "in" / "good.png", drawn(24, 32))
    config = BatchConfig(formats=("overlay",), overlay=OverlayStyle(file_format="webp"))
    summary = run(segmenter, tmp_path / "in", tmp_path / "out", config=config)
    assert (summary.done, list(failed(summary))) == (1, ["wide.png"])
    assert "WEBP takes at most 16383 a side. Write it as png or jpg" in failed(summary)["wide.png"]
    assert [path.name for path in (tmp_path / "out").glob("*overlay*")] == ["good.overlay.webp"]


def test_an_image_that_one_format_cannot_store_is_in_no_other(segmenter: Segmenter, tmp_path: Path) -> None:
    save(tmp_path / "in" / "wide.png", drawn(2, 16_500))
    save(tmp_path / "in" / "good.png", drawn(24, 32))
    config = BatchConfig(formats=("coco", "yolo", "overlay"), overlay=OverlayStyle(file_format="webp"))
    assert list(failed(run(segmenter, tmp_path / "in", tmp_path / "out", config=config))) == ["wide.png"]
    assert annotated(tmp_path / "out") == {"coco": ["good.png"], "yolo": ["good.png"]}


def test_what_fails_the_second_time_does_not_stay_in_annotations(segmenter: Segmenter, tmp_path: Path) -> None:
    for index, name in enumerate(("a", "b", "c")):
        save(tmp_path / "in" / f"{name}.png", drawn(24, 32, index))
    film(tmp_path / "in" / "film.mp4", 3)
    config, out = BatchConfig(formats=("coco", "yolo")), tmp_path / "out"
    run(segmenter, tmp_path / "in", out, config=config)
    (tmp_path / "in" / "a.png").write_bytes(b"broken")
    (tmp_path / "in" / "film.mp4").write_bytes(b"broken")
    again = run(segmenter, tmp_path / "in", out, config=config, resume=True)
    assert (again.skipped, sorted(failed(again))) == (2, ["a.png", "film.mp4"])
    assert annotated(out) == {"coco": ["b.png", "c.png"], "yolo": ["b.png", "c.png"]}
    (tmp_path / "in" / "b.png").write_bytes(b"broken")
    run(segmenter, tmp_path / "in", out, config=config)
    assert annotated(out) == {"coco": ["c.png"], "yolo": ["c.png"]}


def annotated(out: Path) -> dict[str, list[str]]:
    """The images in the files of the formats."""
    named = [image["file_name"] for image in json.loads((out / "coco.json").read_text())["images"]]
    images = [path.relative_to(out / "images").as_posix() for path in (out / "images").rglob("*.*")]
    labels = [path.relative_to(out / "labels").with_suffix(".png").as_posix() for path in out.rglob("*.txt")]
    assert sorted(images) == sorted(labels)
    return {"coco": named, "yolo": sorted(images)}


def test_a_name_that_is_not_utf8(segmenter: Segmenter, tmp_path: Path) -> None:
    good = save(tmp_path / "in" / "good.png", drawn(24, 32))
    odd = os.fsencode(tmp_path / "in") + b"/caf\xe9.png"
    shutil.copyfile(good, odd)
    formats = ("png", "overlay", "npz", "yolo")
    plain = run(segmenter, tmp_path / "in", tmp_path / "plain", config=BatchConfig.model_validate({"formats": formats}))
    assert (plain.done, plain.failures) == (2, []), "formats that hold no names take any"
    for name in ("coco", "cvat", "labelstudio", "geotiff"):
        config = BatchConfig.model_validate({"formats": [name]})
        summary = run(segmenter, tmp_path / "in", tmp_path / name, config=config)
        (reason,) = (one.reason for one in summary.failures)
        assert summary.done == 1
        assert "not valid UTF-8" in reason
        assert "Rename the file" in reason


@pytest.mark.parametrize("tiles", [None, TileConfig(size=64)])
def test_a_coordinate_system_whose_text_is_not_utf8(
    segmenter: Segmenter, tmp_path: Path, tiles: TileConfig | None
) -> None:
    (tmp_path / "in").mkdir()
    save(tmp_path / "in" / "good.png", drawn(24, 32))
    path = tmp_path / "in" / "field.tif"
    bands = np.moveaxis(drawn(24, 32), -1, 0)
    named = {"crs": 'LOCAL_CS["caf\u00e9",UNIT["metre",1]]', "transform": rasterio.Affine(1, 0, 5, 0, -1, 5)}
    with rasterio.open(path, "w", driver="GTiff", width=32, height=24, count=3, dtype="uint8", **named) as file:
        file.write(bands)
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xe9("))
    config = BatchConfig(formats=("geotiff",), tiles=tiles)
    summary = run(segmenter, tmp_path / "in", tmp_path / "out", config=config)
    assert (summary.done, list(failed(summary))) == (1, ["field.tif"])
    assert not (tmp_path / "out" / "field.tif").exists()


def test_an_image_that_the_model_fails_on_costs_itself(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    real = segmenter.segment_many
    bad = np.asarray(Image.open(photos / "2.png"))

    def fails(images: list[np.ndarray], vocabulary: object, *rest: object) -> object:
        if any(np.array_equal(image, bad) for image in images):
            raise MemoryError
        return real(images, vocabulary, *rest)  # type: ignore[arg-type]  # as it is called

    segmenter.segment_many = fails  # type: ignore[method-assign, assignment]  # a model that fails
    segmenter.inference = segmenter.inference.replace(batch=4)
    summary = run(segmenter, photos, tmp_path / "out")
    assert summary.done == 6
    assert failed(summary).keys() == {"2.png"}
    assert "not enough memory" in failed(summary)["2.png"]


def test_a_decoder_of_videos_that_raises_anything(
    segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tags(*_: object, **__: object) -> None:
        raise UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "invalid continuation byte")

    save(tmp_path / "in" / "good.png", drawn(24, 32))
    film(tmp_path / "in" / "film.mp4")
    monkeypatch.setattr("av.open", tags)
    summary = run(segmenter, tmp_path / "in", tmp_path / "out")
    assert (summary.done, list(failed(summary))) == (1, ["film.mp4"])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("tiles", [None, TileConfig(size=64)])
def test_a_full_disk_ends_the_run(
    segmenter: Segmenter,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    tiles: TileConfig | None,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("ahs_seg.output.formats.png.write_names", full)
    monkeypatch.setattr("ahs_seg.batch.streaming_writers.write_names", full)
    with pytest.raises(OSError, match=os.strerror(code)):
        run(segmenter, photos, tmp_path / "out", config=BatchConfig(tiles=tiles))


def test_an_output_folder_that_is_removed_ends_the_run(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    real, out = segmenter.segment_many, tmp_path / "out"

    def removes(images: object, vocabulary: object, *rest: object) -> object:
        shutil.rmtree(out, ignore_errors=True)
        return real(images, vocabulary, *rest)  # type: ignore[arg-type]  # as it is called

    segmenter.segment_many = removes  # type: ignore[method-assign, assignment]  # somebody cleans up meanwhile
    with pytest.raises(RunEndedError, match="output folder was removed or replaced"):
        run(segmenter, photos, out)


def test_failures_of_a_kind_that_ends_runs_are_raised_again() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="No space"):
        Failed.of(Path("a.png"), full)
    assert Failed.of(Path("a.png"), ValueError("odd")) == Failed("a.png", "a.png: ValueError: odd")
