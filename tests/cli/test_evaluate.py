from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints import ModelDescription, save_model
from ahs_seg.cli import app
from ahs_seg.evaluation import EvaluationReport
from ahs_seg.io.overwrite import OverwriteError
from ahs_seg.methods import ZeroShotConfig
from tests.support.command_line import fails, output_of
from tests.support.label_folders import discs, label_folder

WORLD = ["--data", "world-20", "--count", "2"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    config = ZeroShotConfig(backbone=ClipConfig(source=TINY))
    return str(save_model(config.build(), ModelDescription(method=config), tmp_path_factory.mktemp("m") / "tiny"))


def test_protocols_stand_side_by_side(model, tmp_path):
    output = output_of("evaluate", model, *WORLD, "--protocol", "own,mmseg", "-o", str(tmp_path / "r.json"))
    rows = [line.split(" | ")[1] for line in output.splitlines() if line.startswith("| world-20")]
    assert rows == ["own", "mmseg"]
    written = json.loads((tmp_path / "r.json").read_text())
    assert [report["protocol"].partition(":")[0] for report in written] == ["own", "mmseg"]
    assert written[1]["settings"]["activation"] == "after merging"


def test_one_report_has_all_that_was_asked_for(model, tmp_path):
    (tmp_path / "parents.json").write_text('{"1": [0]}')
    words = ["--boundary", "--parents", str(tmp_path / "parents.json"), "--journal", str(tmp_path / "j")]
    output = output_of("evaluate", model, *WORLD, *words, "-o", str(tmp_path / "r.json"))
    scores = EvaluationReport.load(tmp_path / "r.json").scores
    assert scores.boundary_miou is not None
    assert scores.sg_miou is not None
    assert "boundary_miou" in output
    assert list((tmp_path / "j" / "own").glob("*.jsonl"))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_damaged_image_is_left_out_and_is_an_exit_status(model, tmp_path, processes):
    label_folder(tmp_path / "data", [discs([0, 1])] * 3, "sky, road")
    words = ["evaluate", model, "--data", str(tmp_path / "data"), "--split", "train", "--processes", str(processes)]
    words += ["-o", str(tmp_path / "r.json")]
    output_of(*words)
    (tmp_path / "data/images/train/001.png").write_bytes(b"junk")
    output = output_of(*words, status=1)
    assert "left out: " in output
    assert "001.png" in output
    report = EvaluationReport.load(tmp_path / "r.json")
    assert (report.images, [failure.index for failure in report.failures]) == (2, [1])


def test_labels_are_read_as_in_the_training(model, tmp_path, caplog):
    label_folder(tmp_path / "data", [discs([0, 1]), discs([0, 1, 2])], "sky, road")
    words = [
        "evaluate",
        model,
        "--data",
        str(tmp_path / "data"),
        "--set",
        "memory_mb=64",
        "-o",
        str(tmp_path / "r.json"),
    ]
    output_of(*words, status=1)
    assert "set data.offset=1" in caplog.text
    output_of(*words, "--set", "data.offset=1")
    assert EvaluationReport.load(tmp_path / "r.json").images == 2


def test_data_or_suite_must_be_given(model):
    result = CliRunner().invoke(app, ["evaluate", model])
    assert isinstance(result.exception, ValueError)
    assert "--data" in str(result.exception)


@pytest.mark.parametrize("option", ["--parents", "--journal", "--split", "--set data.KEY"])
def test_options_of_one_dataset_are_refused_with_a_suite(model, tmp_path, capsys, monkeypatch, option):
    words = ["evaluate", model, "--suite", "ovss", "--root", str(tmp_path)]
    words += ["--set", "data.offset=1"] if option == "--set data.KEY" else [option, str(tmp_path / "x")]
    message = fails(capsys, monkeypatch, *words)
    assert f"{option}: for one dataset; give --data, not --suite, or leave it out." in " ".join(message.split())
    assert ("A suite keeps its own journal" in message) == (option == "--journal")


def test_a_device_and_a_place_for_the_report_are_checked_first(model, tmp_path, capsys, monkeypatch):
    words = ["evaluate", str(model), "--data", "world-20"]
    assert "device 'gpu' is not known" in fails(capsys, monkeypatch, *words, "--device", "gpu")
    assert "is a folder" in fails(capsys, monkeypatch, *words, "-o", str(tmp_path))
    assert "split 'x' is given for world-20" in fails(capsys, monkeypatch, *words, "--split", "x")


def test_a_report_replaces_no_image(model, tmp_path):
    images = [{"id": 1, "file_name": "a.png", "height": 8, "width": 8}]
    shape = {"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 8, 0, 8, 4, 0, 4]]}
    labels = {"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": [{"id": 1, **shape}]}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    (tmp_path / "a.png").write_bytes(b"an image")
    with pytest.raises(OverwriteError, match=r"a\.png: is a file of the input"):
        output_of("evaluate", model, "--data", tmp_path / "labels.json", "-o", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"an image"
    with pytest.raises(OverwriteError, match=r"a\.png: is a file of the input"):
        output_of("evaluate", model, "--data", f"hf:{tmp_path}", "-o", tmp_path / "a.png")
