"""`ahs-seg segment` and `ahs-seg vocab` as a user types them."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from ahs_seg.batch import ModelSource
from ahs_seg.batch.journal import BatchJournal
from ahs_seg.cli import app
from ahs_seg.cli.segment import FORMATS, OVERLAY_FORMATS
from ahs_seg.output.formats import FORMATS as KNOWN
from ahs_seg.output.legend import OverlayFormat
from tests.support.command_line import fails, run
from tests.support.drawn_images import drawn, save
from tests.support.forks import forked

WORDS = "sky, grass, red star"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for index in range(3):
        save(tmp_path / "photos" / f"{index}.png", drawn(96, 128, index))
    return tmp_path / "photos"


def test_the_formats_in_the_help_are_those_there_are():
    assert FORMATS.split(", ") == list(KNOWN)
    assert get_args(OverlayFormat) == OVERLAY_FORMATS


def test_overlays_in_another_format(model, photos, tmp_path, capsys, monkeypatch):
    given = ["segment", photos, "--classes", WORDS, "--model", model, "-o", tmp_path / "out", "--format", "overlay"]
    run(*given, "--overlay-format", "jpg")
    written = sorted(path.name for path in (tmp_path / "out").glob("*.overlay.*"))
    assert written == [f"{index}.overlay.jpg" for index in range(3)]
    assert "allowed are png, jpg, webp" in fails(capsys, monkeypatch, *given, "--overlay-format", "gif")


def test_json_is_one_document_on_standard_output(model, photos, tmp_path):
    (photos / "bad.jpg").write_text("no image")
    arguments = ["segment", photos, "--classes", WORDS, "--model", model, "-o", tmp_path / "out", "--json"]
    summary = json.loads(run(*arguments, "--format", "png", status=1))
    assert (summary["done"], summary["skipped"], summary["failed"]) == (3, 0, 1)
    assert summary["failures"][0]["path"].endswith("bad.jpg")
    assert sum(area["pixels"] for area in summary["areas"]) == 3 * 96 * 128
    assert sorted(path.name for path in (tmp_path / "out").glob("*")) == sorted(
        [".ahs-seg", *(f"{index}{end}" for index in range(3) for end in (".classes.json", ".png"))]
    )
    again = json.loads(run(*arguments, "--format", "png", "--resume", status=1))
    assert (again["done"], again["skipped"], again["failed"]) == (0, 3, 1)


def test_what_libraries_print_is_not_in_the_document(model, photos, tmp_path, monkeypatch):
    def talking(*arguments):
        print("words of a library")

    monkeypatch.setattr("ahs_seg.batch.run.check_packages", talking)
    arguments = ["segment", photos, "--classes", WORDS, "--model", model, "-o", tmp_path / "out", "--json"]
    assert json.loads(run(*arguments, "--format", "png"))["done"] == 3


@pytest.fixture
def unloaded(monkeypatch):
    """Without anything that looks for a model."""

    def looking(*_):
        raise AssertionError("a model was looked for")

    monkeypatch.setattr("ahs_seg.segmenter.open_model", looking)


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize("device", ["gpu", "0", "mps", "cuda", "cuda:7", "CPU", ""])
def test_a_device_that_is_not_there_is_told_before_a_model_is_loaded(device, photos, capsys, monkeypatch):
    for backend in ("cuda", "backends.mps"):
        monkeypatch.setattr(f"torch.{backend}.is_available", lambda: False)
    words = ["segment", str(photos), "--classes", WORDS, "--model", "m", "--device", device]
    message = fails(capsys, monkeypatch, *words)
    assert "device" in message
    assert ("cpu" in message) == bool(device)


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(
    ("package", "extra", "more"),
    [("rasterio", "geo", ["--format", "geotiff"]), ("ray", "scale", ["--engine", "ray"]), ("av", "video", [])],
)
def test_a_missing_extra_is_told_before_a_model_is_loaded(package, extra, more, photos, capsys, monkeypatch):
    (photos / "film.mp4").write_bytes(b"film")
    monkeypatch.setitem(sys.modules, package, None)
    words = ["segment", str(photos), "--classes", WORDS, "--model", "m", *more]
    assert f"pip install 'ahs-seg[{extra}]'" in fails(capsys, monkeypatch, *words)


def test_patterns_formats_and_the_table(model, photos, tmp_path):
    out = tmp_path / "out"
    text = run(
        *("segment", photos / "[01].png", "--classes", WORDS, "--model", model, "-o", out, "--batch", 2),
        *(word for name in KNOWN if name not in ("geotiff", "video") for word in ("--format", name)),
    )
    assert "2 of 2 images segmented" in text
    assert "%" in text
    assert "written:" in text
    names = {path.suffix for path in out.rglob("*")}
    assert {".png", ".json", ".txt", ".npz"} <= names


def test_tiles(model, photos, tmp_path):
    arguments = ["segment", photos / "0.png", "--classes", WORDS, "--model", model, "-o", tmp_path / "out"]
    run(*arguments, "--tile", "--tile-size", 64, "--tile-overlap", 0.5)
    assert np.asarray(Image.open(tmp_path / "out" / "0.png")).shape == (96, 128)
    for wrong, message in {
        ("--tile-size", "64"): "give --tile as well",
        ("--format", "jpeg"): "png",
        ("--workers", "2"): "--engine ray",
        ("--engine", "spark"): "local and ray",
        ("--tile", "--format", "coco"): "written from whole images",
    }.items():
        with pytest.raises(ValueError, match=message):
            run(*arguments, *wrong)


def test_a_killed_process_leaves_nothing_half_written(model, tmp_path, monkeypatch):
    """Killed in the middle, resumed: the same files as without, every one readable at any time."""
    for index in range(8):
        save(tmp_path / "photos" / f"{index:02d}.png", drawn(200, 300, index))
    arguments = ["segment", str(tmp_path / "photos"), "--classes", WORDS, "--model", str(model), "--format", "png"]

    def die() -> None:
        real, count = BatchJournal.write, []

        def write(self, done):
            real(self, done)
            count.append(done)
            if len(count) == 4:
                os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(BatchJournal, "write", write)
        app([*arguments, "-o", str(tmp_path / "a")])

    killed = forked(die)
    killed.join(300)
    assert killed.exitcode == -signal.SIGKILL
    for path in (tmp_path / "a").glob("[!.]*.png"):
        Image.open(path).load()
    assert "4 already done" in run(*arguments, "-o", tmp_path / "a", "--resume")
    run(*arguments, "-o", tmp_path / "b")
    for path in (tmp_path / "b").glob("*.*"):
        if path.is_file():
            assert (tmp_path / "a" / path.name).read_bytes() == path.read_bytes()


def test_pixels_below_a_threshold_are_unknown(model, photos, tmp_path):
    out = tmp_path / "out"
    arguments = ["segment", photos / "0.png", "--classes", WORDS, "--model", model, "-o", out]
    summary = json.loads(run(*arguments, "--format", "png", "--unknown-below", 0.5, "--json"))
    names = json.loads((out / "0.classes.json").read_text())
    unknown = names["unknown"]["pixels"]
    assert 0 < unknown < 96 * 128
    assert (np.asarray(Image.open(out / "0.png")) == 255).sum() == unknown
    assert {area["label"]: area["pixels"] for area in summary["areas"]}["(unknown)"] == unknown
    for wrong, message in {
        ("--unknown-below", "2"): "unknown-below",
        ("--unknown-below", "0.5", "--tile"): "--tile",
    }.items():
        with pytest.raises((ValueError, AssertionError), match=message):
            run(*arguments, *wrong)
    with pytest.raises(ValueError, match="threshold of unknown pixels"):
        run(*arguments, "--format", "png", "--resume", "--unknown-below", 0.4)


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--dtype", "int8", "dtype 'int8' is not known; allowed are fp32, bf16 and fp16"),
        ("--threads", "100000", "threads: 100000 is not allowed; give 1 to 1024"),
    ],
)
def test_a_type_and_a_number_of_threads_are_checked_before_a_model_is_loaded(
    option, value, message, photos, capsys, monkeypatch
):
    words = ["segment", str(photos), "--classes", WORDS, "--model", "m", option, value]
    assert message in fails(capsys, monkeypatch, *words)


def test_type_threads_and_cache_reach_the_model(model, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = []
    load = ModelSource.load

    def remembered(source):
        made.append(load(source))
        return made[-1]

    monkeypatch.setattr(ModelSource, "load", remembered)
    arguments = ["segment", photos / "0.png", "--classes", WORDS, "--model", model, "--format", "png"]
    run(*arguments, "-o", tmp_path / "short", "--dtype", "bf16", "--threads", 1, "--no-cache")
    assert made[0].dtype == torch.bfloat16
    assert torch.get_num_threads() == 1
    assert not (tmp_path / "cache").exists()
    run(*arguments, "-o", tmp_path / "out")
    assert len(list((tmp_path / "cache" / "ahs-seg" / "text").rglob("*.safetensors"))) == 1
