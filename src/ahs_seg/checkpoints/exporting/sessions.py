"""Graphs of an exported folder, opened by ONNX Runtime or OpenVINO; nothing in them executes code."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from ahs_seg.checkpoints.exporting.manifest import Format, Graph
from ahs_seg.checkpoints.exporting.stages import ExportError
from ahs_seg.io.extras import Extra, require_extra

RUNTIMES: Final[dict[str, tuple[Extra, Format]]] = {
    "onnxruntime": ("onnx", "onnx"),
    "openvino": ("openvino", "openvino"),
}
"""The runtimes beside PyTorch: the extra that installs each, and the format of the graphs that it runs."""


class Session(ABC):
    """One graph, ready to run on the CPU in float32; threads may share it, and it is opened again after pickling."""

    def __init__(self, path: Path, graph: Graph) -> None:
        self.path, self.graph = path, graph
        self._open()

    @abstractmethod
    def _open(self) -> None:
        """Open the file at `path`."""

    @abstractmethod
    def _run(self, inputs: dict[str, Any]) -> list[Any]:
        """The outputs in the order of the manifest, from arrays by name."""

    def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The outputs by name, on the device of the first input.

        Raises:
            ExportError: the graph has inputs that are not given, as one has that another version exported.
        """
        if missing := [name for name in self.graph.inputs if name not in inputs]:
            raise ExportError(
                f"{self.path} has the input {missing[0]!r}, but this version gives {', '.join(inputs)}. Export the "
                "model again."
            )
        device = next(iter(inputs.values())).device
        arrays = {name: inputs[name].detach().cpu().contiguous().numpy() for name in self.graph.inputs}
        found = self._run(arrays)
        return {name: torch.from_numpy(value).to(device) for name, value in zip(self.graph.outputs, found, strict=True)}

    def __deepcopy__(self, memo: object) -> Session:
        """The session itself: it has no state."""
        return self

    def __reduce__(self) -> tuple[type[Session], tuple[Path, Graph]]:
        return type(self), (self.path, self.graph)


class OnnxSession(Session):
    """A graph in ONNX Runtime."""

    def _open(self) -> None:
        import onnx
        import onnxruntime

        try:
            onnx.checker.check_model(self.path)
        except onnx.checker.ValidationError as error:
            raise ExportError(f"{self.path} is no graph that ONNX Runtime can run: {error}") from None
        _check_inline(onnx.load(self.path, load_external_data=False), self.path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        except (RuntimeError, ValueError) as error:
            raise ExportError(f"{self.path} is no graph that ONNX Runtime can run: {error}") from None

    def _run(self, inputs: dict[str, Any]) -> list[Any]:
        return list(self._session.run(list(self.graph.outputs), inputs))


class OpenVinoSession(Session):
    """A graph in OpenVINO."""

    def _open(self) -> None:
        import openvino

        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        try:
            self._model = openvino.Core().compile_model(self.path, "CPU", settings)
        except RuntimeError as error:
            raise ExportError(f"{self.path} is no graph that OpenVINO can run: {error}") from None
        self._requests = threading.local()

    def _run(self, inputs: dict[str, Any]) -> list[Any]:
        if not hasattr(self._requests, "own"):  # a request belongs to one thread
            self._requests.own = self._model.create_infer_request()
        found = self._requests.own.infer(inputs)
        return [found[name].copy() for name in self.graph.outputs]


def open_sessions(folder: Path, graphs: Mapping[str, Graph], runtime: str) -> dict[str, Session]:
    """The graphs of a folder by name, opened in a runtime that is installed.

    Raises:
        ExportError: a file is no graph that it can run.
    """
    kind = OnnxSession if runtime == "onnxruntime" else OpenVinoSession
    return {name: kind(folder / graph.files[0].name, graph) for name, graph in graphs.items()}


def check_runtime(runtime: str) -> Format:
    """The format of the graphs that a runtime reads.

    Raises:
        ExportError: the runtime is not known.
        MissingPackageError: it is not installed.
    """
    if runtime not in RUNTIMES:
        raise ExportError(f"runtime {runtime!r} is not known; allowed are torch, {', '.join(RUNTIMES)}.")
    extra, kind = RUNTIMES[runtime]
    require_extra(extra, f"runtime={runtime!r}", otherwise="use runtime='torch'")
    return kind


def _check_inline(model: Any, path: Path) -> None:
    """Refuse a graph whose weights lie in other files: it could name any file of this machine."""
    if any(one.data_location == one.EXTERNAL for one in _tensors(model)):
        raise ExportError(f"{path} refers to other files for its weights, which is not read; export the model again.")


def _tensors(message: Any) -> Iterator[Any]:
    """All tensors within a message of ONNX, at any depth."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if isinstance(value, Sequence) else [value]:
                yield from _tensors(part)
