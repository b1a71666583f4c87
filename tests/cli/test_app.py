"""The commands as a user types them, on drawn scenes and the packaged CLIP."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import ahs_seg
from ahs_seg.cli import app
from ahs_seg.io.outside_text import HIDDEN
from tests.support.command_line import AHS_SEG, fails, output_of

HOSTILE = "\x1b]0;own\x07\u202e"
pytestmark = pytest.mark.xdist_group("commands")  # what its fixture trains is trained once


def test_evaluate_names_the_protocol(trained: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    text = output_of("evaluate", trained / "model", "--data", folder, "--split", "test", "-o", out)
    assert "whole image" in text
    assert json.loads(out.read_text())["dataset"].endswith("/test")


def test_segment_writes_labels_names_and_overlays(trained: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = output_of(
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
    (source / "text.jpg").write_text("no image")
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
        (["train", "nowhere.yaml"], "no packaged config of this name"),
        (["train", "quickstart/cat_seg", "training.stepz=3"], "training.stepz: unknown key"),
        (["train", "quickstart/cat_seg", "training.steps=many"], "training.steps"),
        (["train", "quickstart/cat_seg", "method.backbone.source=/nowhere"], "cannot load a CLIP from '/nowhere'"),
        (["evaluate", "nowhere", "--data", "world-20"], "is not a model directory"),
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
        assert "the disk is full" in fails(capsys, patch, *words)


@pytest.mark.parametrize("words", ["", " , ", "cat, cat", "x" * 200])
def test_words_that_cannot_be_used(
    words: str, trained: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("segment", folder / "images", "--classes", words, "--model", trained / "model")
    assert "error:" in fails(capsys, monkeypatch, *arguments)


def test_the_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"ahs-seg {ahs_seg.__version__}\n")


@pytest.mark.parametrize("words", [["-h"], ["segment", "-h"], ["vocab", "lint", "-h"]])
def test_a_short_option_shows_the_help(words: list[str]) -> None:
    assert "Usage:" in output_of(*words)


def test_the_package_can_be_run() -> None:
    words = [sys.executable, "-m", "ahs_seg", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, f"ahs-seg {ahs_seg.__version__}\n")


@pytest.mark.parametrize(
    ("override", "meant"), [("training.stepz=3", "steps"), ("steps=3", "training.steps"), ("methud.name=x", "method")]
)
def test_a_misspelt_override_is_named_and_corrected(
    override: str, meant: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = fails(capsys, monkeypatch, "train", "quickstart/cat_seg", override)
    assert message.startswith(f"error: override '{override}' is not valid:")
    assert f"did you mean {meant}?" in message
    assert ".yaml" not in message


@pytest.mark.parametrize(
    "words",
    [
        [HOSTILE],
        [f"--{HOSTILE}"],
        ["segment", f"--{HOSTILE}"],
        ["world", HOSTILE],
    ],
)
def test_usage_errors_cite_words_in_printable_form(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = fails(capsys, monkeypatch, *words)
    assert is_cited(message)


def test_a_terminal_obeys_no_word_of_the_command_line() -> None:
    words = [*AHS_SEG, "segment", f"--{HOSTILE}"]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", check=False, timeout=300)
    assert done.returncode == 2
    assert done.stdout == ""
    assert is_cited(done.stderr)


def is_cited(message: str) -> bool:
    """Whether a message, perhaps wrapped in a frame, cites the hostile word and holds nothing that a terminal obeys."""
    text = "".join(message.replace("│", "").split())
    return "]0;own" in text and "\\u202e" in text and not HIDDEN.search(text)
