"""`ahs-seg export`."""

from pathlib import Path

import pytest

from ahs_seg.cli.options import OptionError
from tests.support.command_line import done, run


def test_a_model_is_written_with_graphs(model: Path, tmp_path: Path) -> None:
    text = run("export", model, "--format", "torch-export", "-o", tmp_path / "out")
    assert "torch-export: written" in text
    assert (tmp_path / "out" / "torch-export" / "head.pt2").is_file()
    assert (tmp_path / "out" / "config.json").is_file()


def test_another_format_is_refused_before_the_model_is_read(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="'tflite' is not known; formats are onnx, openvino, torch-export"):
        done("export", tmp_path, "--format", "tflite", "-o", tmp_path / "out")


@pytest.mark.slow
def test_the_parity_of_a_drawn_scene_is_printed(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    text = run("export", model, "-o", tmp_path / "out")
    assert "onnxruntime: " in text
    assert "of the labels of 1 image(s) with 20 classes equal those of PyTorch" in text
