"""The commands as a user types them, on drawn scenes and the packaged CLIP."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ahs_seg.cli import app, main

pytestmark = pytest.mark.xdist_group("commands")  # what its fixture trains is trained once

MICRO = [
    "quickstart/cat_seg",
    "training.steps=6",
    "training.workers=0",
    "training.precision=fp32",
    "training.checkpoint_every=3",
    "training.optimizer.warmup_steps=1",
]


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> str:
    """The message of a command that ends with status 2."""
    monkeypatch.setattr("sys.argv", ["ahs-seg", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scenes")
    run("world", "draw", "-o", root, "--count", "6", "--names", "20")
    run("world", "draw", "-o", root, "--count", "3", "--names", "20", "--scenes", "test")
    return root


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "run"
    data = f"data={{name: folder, root: {folder}, split: train}}"
    validation = f"validation={{name: folder, root: {folder}, split: test}}"
    text = run("train", *MICRO, data, validation, "-o", output)
    assert f"model: {output / 'model'}" in text
    return output


def test_train_leaves_everything_a_reader_needs(trained: Path) -> None:
    for name in ("config.yaml", "train.csv", "evaluation.json", "model/config.json", "model/model.safetensors"):
        assert (trained / name).is_file(), name
    report = json.loads((trained / "evaluation.json").read_text())
    assert report["images"] == 3
    assert 0 <= report["scores"]["miou"] <= 1
    assert report["protocol"] == "whole image"
    description = json.loads((trained / "model" / "config.json").read_text())
    assert len(description["trained_on"]) == 20


def test_a_finished_run_is_not_overwritten_but_resumed(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["train", str(trained / "config.yaml"), "-o", str(trained)]
    assert "already holds" in fails(capsys, monkeypatch, *arguments)
    assert "trained 6 steps" in run(*arguments, "--resume")


def test_evaluate_names_the_protocol(trained: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    text = run("evaluate", trained / "model", "--data", folder, "--split", "test", "-o", out)
    assert "whole image" in text
    assert json.loads(out.read_text())["dataset"].endswith("/test")


def test_segment_writes_labels_names_and_overlays(trained: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = run(
        "segment", folder / "images", "--classes", "sky, grass, red star", "--model", trained / "model", "-o", out
    )
    assert "9 of 9 images" in text
    labels = sorted(out.rglob("*[0-9].png"))
    assert len(labels) == 9
    assert np.asarray(Image.open(labels[0])).max() <= 2
    assert json.loads(labels[0].with_suffix(".classes.json").read_text())["classes"] == ["sky", "grass", "red star"]
    overlay = Image.open(labels[0].with_name(labels[0].stem + ".overlay.png"))
    assert min(overlay.size) >= 96


def test_one_bad_file_costs_itself(trained: Path, folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    whole = next((folder / "images" / "test").glob("*.png"))
    (source / "good.png").write_bytes(whole.read_bytes())
    (source / "cut.png").write_bytes(whole.read_bytes()[:200])
    (source / "text.jpg").write_text("no picture")
    arguments = ["segment", str(source), "--classes", "sky, sand", "--model", str(trained / "model")]
    result = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "1 of 3 images" in result.output
    assert "cut.png" in result.output
    assert "text.jpg" in result.output
    assert (tmp_path / "out" / "good.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nowhere.yaml"], "nor a packaged config"),
        (["train", "quickstart/cat_seg", "training.stepz=3"], "training.stepz: unknown key"),
        (["train", "quickstart/cat_seg", "training.steps=many"], "training.steps"),
        (["train", "quickstart/cat_seg", "method.backbone.source=/nowhere"], "cannot load a CLIP from '/nowhere'"),
        (["evaluate", "nowhere", "--data", "world-20"], "no model directory"),
        (["segment", "nowhere.jpg", "--classes", "cat", "--model", "m"], "nowhere.jpg: no such file or folder"),
        (["world", "draw", "-o", "x", "--names", "21"], "names"),
    ],
)
def test_errors_are_one_message(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, monkeypatch, *arguments)


def test_a_full_disk_is_one_message(
    trained: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(source: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    words = ["segment", str(folder), "--classes", "sky", "--model", str(trained / "model"), "-o", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        assert "No space left on device" in fails(capsys, patch, *words)


@pytest.mark.parametrize("words", ["", " , ", "cat, cat", "x" * 200])
def test_words_that_cannot_be_used(
    words: str, trained: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("segment", folder / "images", "--classes", words, "--model", trained / "model")
    assert "error:" in fails(capsys, monkeypatch, *arguments)
