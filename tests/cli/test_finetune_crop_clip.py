"""What `ahs-seg finetune-crop-clip` trains, and what it says of the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ahs_seg.configs import find_crop_clip
from ahs_seg.training.crop_clip import CropClipExperiment, CropClipResult
from ahs_seg.training.loop import TrainResult
from tests.support.command_line import fails, output_of

ASKED: list[tuple[CropClipExperiment, Path, dict[str, Any]]] = []


def finished(monkeypatch: pytest.MonkeyPatch, model: Path | None, shares: tuple[float | None, float | None]) -> None:
    """Every fine-tuning ends at once with this result; what was asked for is kept in `ASKED`."""
    ASKED.clear()

    def run(experiment: CropClipExperiment, directory: Path, **rest: Any) -> CropClipResult:
        ASKED.append((experiment, directory, rest))
        return CropClipResult(directory / "clip", model, TrainResult(3, {}, None, None, 1.0), *shares)

    monkeypatch.setattr("ahs_seg.training.crop_clip.finetune_crop_clip", run)


@pytest.mark.parametrize("name", ["finetune-crop-clip", "shift"])
def test_the_config_with_its_overrides_is_trained(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    finished(monkeypatch, tmp_path / "run/model", (0.25, 0.875))
    words: list[str | Path] = [
        "world",
        "training.steps=30",
        "-o",
        tmp_path / "run",
        "--into",
        tmp_path / "scan",
        "--resume",
    ]
    text = output_of(name, *words)
    ((experiment, directory, rest),) = ASKED
    assert experiment == CropClipExperiment.read(find_crop_clip("world"), ["training.steps=30"])
    assert (directory, rest) == (tmp_path / "run", {"into": tmp_path / "scan", "resume": True})
    assert "mask accuracy: 25.0 % before, 87.5 % after" in text
    assert f"use it as method.shifted.source={tmp_path / 'run/clip'}" in text
    assert f"model: {tmp_path / 'run/model'}" in text


def test_without_validation_and_scan_nothing_is_claimed_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    finished(monkeypatch, None, (None, None))
    text = output_of("finetune-crop-clip", "world", "-o", tmp_path)
    assert ASKED[0][2] == {"into": None, "resume": False}
    assert f"CLIP: {tmp_path / 'clip'}" in text
    assert "mask accuracy" not in text
    assert "model:" not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [(["nowhere"], "nowhere: no such file"), (["world", "training.stepz=3"], "training.stepz: unknown key")],
)
def test_a_config_that_is_not_right_is_one_message(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert message in fails(capsys, monkeypatch, "finetune-crop-clip", *words, "-o", tmp_path / "run")
    assert not (tmp_path / "run").exists()
