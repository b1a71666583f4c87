"""Which runtime computes a model, and what is asked for in vain."""

from pathlib import Path

import pytest
import torch

from ahs_seg.checkpoints import ModelDescription, save_model
from ahs_seg.checkpoints.exporting import manifest, sessions
from ahs_seg.checkpoints.exporting.load import place_of, with_runtime
from ahs_seg.checkpoints.exporting.manifest import Graph, GraphFile, Manifest
from ahs_seg.checkpoints.exporting.stages import ExportError
from ahs_seg.io.devices import DeviceError
from ahs_seg.methods import ZeroShotConfig
from ahs_seg.segmenter import Segmenter
from tests.support.every_method import SMALL_CONFIGS
from tests.support.exported import small


def test_other_runtimes_compute_on_the_cpu() -> None:
    assert place_of("openvino", "auto") == place_of("torch", "cpu") == torch.device("cpu")
    with pytest.raises(DeviceError, match="device 'cuda:1' is not used by runtime='openvino', only cpu"):
        place_of("openvino", "cuda:1")


def test_a_model_without_graphs_says_how_to_write_them(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    method = small(ZeroShotConfig)
    save_model(method, ModelDescription(method=SMALL_CONFIGS[ZeroShotConfig]), tmp_path / "model")
    assert with_runtime(method, tmp_path / "nowhere", "torch") is method
    with pytest.raises(ExportError, match=r"has no onnx graphs. Write them with `ahs-seg export .* --format onnx"):
        Segmenter.from_pretrained(tmp_path / "model", runtime="onnxruntime")


def test_the_method_says_which_runtime_and_which_graphs_compute_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = GraphFile(name="image.onnx", size=1, sha256="0" * 64)
    graph = Graph(files=(file,), inputs=("x",), outputs=("y",))
    listed = Manifest(format="onnx", model="0" * 64, fixed={"side": 64}, weights="int8", graphs={"image": graph})
    monkeypatch.setattr(sessions, "check_runtime", lambda _: "onnx")
    monkeypatch.setattr(sessions, "open_sessions", lambda *_: {})
    monkeypatch.setattr(manifest, "read_manifest", lambda *_: listed)
    found = with_runtime(small(ZeroShotConfig), tmp_path, "onnxruntime")
    assert found.runtime == {"name": "onnxruntime", "weights": "int8", "fixed": {"side": 64}}
