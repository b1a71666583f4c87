"""Graphs in ONNX Runtime and OpenVINO; the graphs are made by hand."""

import copy
import pickle
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from ahs_seg.checkpoints.exporting.sessions import OnnxSession, OpenVinoSession, Session, check_runtime
from ahs_seg.checkpoints.exporting.stages import ExportError
from ahs_seg.errors import MissingPackageError
from tests.support.exported import doubled
from tests.support.forks import forked

onnx = pytest.importorskip("onnx")


def installed(package: str) -> None:
    """Skip a test whose package is not there, without importing it."""
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


def beside(package: str, call: Callable[[], None]) -> None:
    """OpenVINO gets a child: a signal that a later test sends to its own process would end it (seen with 2026.4)."""
    if package != "openvino":
        call()
        return
    child = forked(call)
    child.join(120)
    assert child.exitcode == 0


@pytest.mark.parametrize(("kind", "package"), [(OnnxSession, "onnxruntime"), (OpenVinoSession, "openvino")])
def test_a_session_runs_inputs_of_any_length_also_after_copies(
    tmp_path: Path, kind: type[Session], package: str
) -> None:
    installed(package)

    def runs() -> None:
        session = kind(tmp_path / "graph.onnx", doubled(tmp_path / "graph.onnx"))
        for one in (session, copy.deepcopy(session), pickle.loads(pickle.dumps(session))):
            assert one({"x": torch.tensor([1.0, 3.0])})["y"].tolist() == [2.0, 6.0]
            assert one({"x": torch.ones(5)})["y"].tolist() == [2.0] * 5
        assert copy.deepcopy(session) is session

    beside(package, runs)


def test_inputs_that_another_version_exported_are_told(tmp_path: Path) -> None:
    session = OnnxSession(tmp_path / "graph.onnx", doubled(tmp_path / "graph.onnx"))
    with pytest.raises(ExportError, match=r"graph\.onnx has the input 'x', but this version gives seen, text\. Export"):
        session({"seen": torch.ones(2), "text": torch.ones(2)})


@pytest.mark.parametrize("elsewhere", ["weights", "../weights", "/etc/hostname"])
def test_weights_in_another_file_are_not_read(tmp_path: Path, elsewhere: str) -> None:
    (tmp_path / "weights").write_bytes(np.array([2.0], np.float32).tobytes())
    graph = doubled(tmp_path / "graph.onnx", elsewhere=elsewhere)
    with pytest.raises(ExportError, match=r"refers to other files for its weights|is no graph that"):
        OnnxSession(tmp_path / "graph.onnx", graph)


@pytest.mark.parametrize(("kind", "package"), [(OnnxSession, "onnxruntime"), (OpenVinoSession, "openvino")])
def test_a_file_that_is_no_graph_is_an_error(tmp_path: Path, kind: type[Session], package: str) -> None:
    installed(package)
    path = tmp_path / "graph.onnx"
    graph = doubled(path)
    path.write_bytes(b"no graph")

    def refuses() -> None:
        with pytest.raises(ExportError, match=r"graph\.onnx is no graph that"):
            kind(path, graph)

    beside(package, refuses)


def test_runtimes_have_formats_and_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExportError, match="'tensorrt' is not known; allowed are torch, onnxruntime, openvino"):
        check_runtime("tensorrt")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'ahs-seg\[openvino\]', or use runtime='torch'"):
        check_runtime("openvino")
