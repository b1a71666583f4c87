"""`ahs-seg models`, and models as people name them in commands."""

import inspect
import json
import shutil
from pathlib import Path

import pytest

from ahs_seg.backbones.clip_config import TINY
from ahs_seg.checkpoints.known import DEFAULT_MODEL, KNOWN_CHECKPOINTS
from ahs_seg.cli import segment
from tests.support.clip_directories import clip_directory
from tests.support.command_line import fails, output_of, run
from tests.support.drawn_images import drawn, save

WORDS = ("--classes", "cat, dog, car, road, tree, house, lamp, chair, bus, boat, horse, table")


@pytest.fixture
def here(offline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "photo.png", drawn(40, 40, 0))
    return tmp_path


def test_the_table_has_what_is_known_and_what_is_here(here: Path, model: Path) -> None:
    shutil.copytree(model, here / "runs/s3/model")
    text = run("models")
    lines = [line.split() for line in text.splitlines()]
    assert [
        "*",
        "cat-seg-vitb",
        "cat_seg",
        "ViT-B/16",
        "617",
        "photographs",
        "31.8",
        "57.5",
        "94.6",
        "unknown",
    ] in lines
    assert ["ebseg-vitl", "ebseg", "ViT-L/14", "2164", "photographs", "32.8", "60.2", "96.4", "MIT"] in lines
    assert "protocol catseg. Licence: unknown (the code of the authors is under MIT" in text
    row = next(line for line in lines if line[:1] == ["runs/s3/model"])
    assert row[1:6] == ["zero_shot", "tiny", "7", "drawn", "scenes"]
    assert row[-1] == "runs/s3/model"


def test_the_document_has_the_same(here: Path, model: Path) -> None:
    shutil.copytree(model, here / "quickstart/run-zero_shot/model")
    found = json.loads(run("models", "--json"))
    assert found["default"] == DEFAULT_MODEL
    assert [entry["name"] for entry in found["known"]] == list(KNOWN_CHECKPOINTS)
    first = found["known"][0]
    assert first["page"] == "https://huggingface.co/spaces/hamacojr/CAT-Seg-weights"
    assert (first["licence"], first["knows"], first["published"]["protocol"]) == (None, "photographs", "catseg")
    [entry] = found["here"]
    assert (entry["name"], entry["knows"]) == ("quickstart/run-zero_shot/model", "drawn scenes")


def test_an_empty_place_says_so(here: Path) -> None:
    assert "On this machine: none yet." in run("models")


def test_segment_needs_no_model(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network, the message of the default model; `test_acquire` has the download."""
    message = fails(capsys, monkeypatch, "segment", "photo.png", *WORDS)
    assert "error: cat-seg-vitb is not on this machine" in message
    assert "Three ways on" in message
    assert inspect.signature(segment.command).parameters["model"].default == DEFAULT_MODEL


def test_a_run_directory_a_clip_and_its_directory_are_models(here: Path, model: Path) -> None:
    shutil.copytree(model, here / "runs/s3/model")
    clip_directory(here / "clip")
    run("segment", "photo.png", *WORDS, "--model", "runs/s3", "-o", "a", "--format", "png")
    run("segment", "photo.png", *WORDS, "--model", f"clip:{TINY}", "-o", "b", "--format", "png")
    run("segment", "photo.png", *WORDS, "--model", "clip", "-o", "c", "--format", "png")
    assert (here / "a/photo.png").read_bytes() == (here / "b/photo.png").read_bytes()
    assert (here / "c/photo.png").exists()


def test_training_free_segmentation_is_saved_as_a_model(here: Path) -> None:
    assert run("import", f"clip:{TINY}", "-o", "models/free") == "model: models/free\n"
    assert "pre-training of the packaged CLIP" in (here / "models/free/README.md").read_text()
    assert "models/free" in run("models")


def test_the_summary_warns_once_for_all_images(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(here / "photos/one.png", drawn(40, 40, 1))
    save(here / "photos/two.png", drawn(40, 40, 2))
    monkeypatch.setattr("ahs_seg.segmenter.doubts", lambda *_: ("the labels mean little.",))
    text = output_of("segment", "photos", *WORDS, "--model", f"clip:{TINY}", "-o", "out")
    assert "note: 2 x the labels mean little., e.g. " in text
