"""`ahs-seg export`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from ahs_seg.batch import ModelSource
from ahs_seg.cli.options import OptionError
from ahs_seg.demo.web.app import application
from ahs_seg.demo.web.hosts import Hosts
from ahs_seg.demo.web.serve import find_models
from ahs_seg.demo.web.session import Workbench
from ahs_seg.errors import CheckpointError
from ahs_seg.io.overwrite import OverwriteError
from tests.support.command_line import done, run
from tests.support.drawn_images import drawn, save
from tests.support.page_calls import ADDRESS, noise, segmented
from tests.support.shape_checks import unchecked


@pytest.mark.slow
def test_a_model_is_written_with_graphs(model: Path, tmp_path: Path) -> None:
    with unchecked():
        text = run("export", model, "--format", "torch-export", "-o", tmp_path / "out")
    assert "torch-export: written" in text
    assert (tmp_path / "out" / "torch-export" / "head.pt2").is_file()
    assert (tmp_path / "out" / "config.json").is_file()


def test_another_format_is_refused_before_the_model_is_read(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="'tflite' is not known; formats are onnx, openvino, torch-export"):
        done("export", tmp_path, "--format", "tflite", "-o", tmp_path / "out")


def test_a_model_does_not_replace_itself(model: Path) -> None:
    before = sorted(model.iterdir())
    with pytest.raises(OverwriteError, match="holds the input"):
        done("export", model, "-o", model)
    assert sorted(model.iterdir()) == before


@pytest.mark.slow
def test_the_parity_of_a_drawn_scene_is_printed_and_everything_runs_the_graphs(model: Path, tmp_path: Path) -> None:
    """A folder, tiles and the page."""
    pytest.importorskip("onnxruntime")
    with unchecked():
        text = run("export", model, "-o", tmp_path / "out")
    assert "onnxruntime: " in text
    assert "of the labels of 1 image(s) with 20 classes equal those of PyTorch" in text

    for number in range(2):
        save(tmp_path / "photos" / f"{number}.png", drawn(96, 128, number))
    words = ("--classes", "sky, grass, red star", "--format", "png")
    graphs = ("--model", tmp_path / "out", "--runtime", "onnxruntime")
    for tiles in ((), ("--tile", "--tile-size", 64, "--tile-overlap", 0.5)):
        found, plain = tmp_path / f"graphs {len(tiles)}", tmp_path / f"plain {len(tiles)}"
        run("segment", tmp_path / "photos", *words, *graphs, *tiles, "-o", found)
        run("segment", tmp_path / "photos", *words, "--model", model, *tiles, "-o", plain)
        for name in ("0.png", "1.png"):
            labels = [np.asarray(Image.open(folder / name)) for folder in (found, plain)]
            assert (labels[0] == labels[1]).mean() > 0.999  # ties aside

    served = find_models([str(tmp_path / "out")], runtime="onnxruntime")
    with application(Workbench({"one": next(iter(served.values()))}), Hosts("127.0.0.1")) as page:
        counts = segmented(TestClient(page.gate, base_url=ADDRESS), noise(1), "sky, grass")
    assert sum(counts.values()) == 48 * 64


def test_the_page_runs_no_model_of_its_own_in_another_runtime() -> None:
    with pytest.raises(OptionError, match="--runtime openvino runs exported models only; give one with --model"):
        done("serve", "--runtime", "openvino")


def test_a_runtime_reaches_the_model(model: Path) -> None:
    pytest.importorskip("onnxruntime")
    loaders = [
        ModelSource(str(model), runtime="onnxruntime").load,
        *find_models([str(model)], runtime="onnxruntime").values(),
    ]
    for load in loaders:
        with pytest.raises(CheckpointError, match="has no onnx graphs"):
            load()


@pytest.mark.parametrize("command", ["segment", "serve"])
def test_the_shell_and_the_page_take_a_runtime(command: str) -> None:
    assert "--runtime" in run(command, "--help")
