"""Writes the graphs of a method into a model directory: ONNX, OpenVINO or torch.export, with a list of the files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from ahs_seg.checkpoints.exporting.families import staged
from ahs_seg.checkpoints.exporting.manifest import Format, Graph, Manifest, listed_file, write_manifest
from ahs_seg.checkpoints.exporting.sessions import RUNTIMES, open_sessions
from ahs_seg.checkpoints.exporting.stages import ExportError, Stage
from ahs_seg.checkpoints.model_dir import model_digest
from ahs_seg.io.atomic import replacing_directory
from ahs_seg.io.extras import require_extra
from ahs_seg.methods.base import Method
from ahs_seg.types import ClassText

_OPSET: Final = 20
_ROUNDING: Final = 1e-3
"""Largest difference of a runtime's output, relative to its largest value, that counts as rounding."""
_NOISE: Final = ("torch.onnx", "onnxscript", "onnx_ir", "torch.export", "nncf")
BAKED: Final = "segment"
"""Name of the graph with names baked in."""


def export_graphs(
    method: Method,
    directory: Path,
    kind: Format,
    *,
    baked: tuple[ClassText, tuple[str, ...]] | None = None,
    int8: bool = False,
) -> Manifest:
    """Write the graphs of a method into the folder `kind` of its model directory, replacing earlier ones.

    `baked` are the text embeddings and names that one more graph gets baked in, from an image to the logits of their
    rows. With `int8` the matrices of the image tower are stored and multiplied in 8 bits (ONNX only).

    Raises:
        ExportError: the method cannot be exported, or the runtime of the format computes something else than PyTorch;
            the message names the graph, and the operator or the output.
        MissingPackageError: the package that writes the format is not installed.
    """
    check_format(kind, int8=int8)
    parts = staged(method)
    write = _WRITERS[kind]
    with torch.no_grad(), replacing_directory(directory / kind) as fresh:
        stages = parts.stages()
        graphs = {name: _written(write, stage, fresh, name, kind, int8=int8) for name, stage in stages.items()}
        _check_numbers(fresh, kind, graphs, {name: stages[name] for name in stages if not int8 or name != "image"})
        whole, names = None, tuple[str, ...]()
        if baked is not None:
            text, names = baked
            stage = _joined(stages, parts.texts(text))
            whole = _written(write, stage, fresh, BAKED, kind, int8=False)
        manifest = Manifest(
            format=kind,
            model=model_digest(directory),
            fixed=dict(parts.fixed),
            weights="int8" if int8 else "fp32",
            graphs=graphs,
            baked=whole,
            classes=names,
        )
        write_manifest(manifest, fresh)
    return manifest


def check_format(kind: str, *, int8: bool = False) -> None:
    """Check that a format is known, and that what writes it is installed.

    Raises:
        ExportError: it is not known, or has no int8.
        MissingPackageError: a package is missing.
    """
    if kind not in _WRITERS:
        raise ExportError(f"format {kind!r} is not known; allowed are {', '.join(_WRITERS)}.")
    if int8 and kind != "onnx":
        raise ExportError(f"int8 is written in the format onnx only, not in {kind}; leave it out, or choose onnx.")
    if kind != "torch-export":
        require_extra("onnx", f"the export to {kind}", otherwise="choose the format torch-export")
    if kind == "openvino":
        require_extra("openvino", "the export to OpenVINO", otherwise="choose another format")


def _written(
    write: Callable[[Stage, Path], list[Path]], stage: Stage, folder: Path, name: str, kind: Format, *, int8: bool
) -> Graph:
    stage.module.eval()
    try:
        with _quiet():
            files = write(stage, folder / name)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise ExportError(f"the graph {name!r} cannot be written as {kind}: {_cause(error)}") from error
    if int8 and name == "image":
        _to_int8(files[0])
    return Graph(files=tuple(map(listed_file, files)), inputs=tuple(stage.inputs), outputs=stage.outputs)


def _check_numbers(folder: Path, kind: Format, graphs: Mapping[str, Graph], stages: Mapping[str, Stage]) -> None:
    """Compare what the runtime of a format computes from the inputs of the export with what PyTorch computes.

    Raises:
        ExportError: an output differs by more than rounding.
    """
    runtime = next((name for name, (_, form) in RUNTIMES.items() if form == kind), None)
    if runtime is None or find_spec(runtime) is None:
        return
    sessions = open_sessions(folder, {name: graphs[name] for name in stages}, runtime)
    for name, stage in stages.items():
        values = stage.module(*stage.inputs.values())
        found = sessions[name](stage.inputs)
        for output, exact in zip(stage.outputs, values if isinstance(values, tuple) else (values,), strict=True):
            error = float((found[output] - exact).abs().max() / exact.abs().max().clamp(min=1e-12))
            if not error <= _ROUNDING:  # nor is it NaN
                raise ExportError(
                    f"{runtime} computes the output {output!r} of the graph {name!r} otherwise than PyTorch, by "
                    f"{error:.1g} of its largest value. Choose another format than {kind}."
                )


def traced(stage: Stage) -> torch.export.ExportedProgram:
    """The program of a stage, with the axes that it calls dynamic."""
    axis = torch.export.Dim.DYNAMIC
    shapes = tuple(dict.fromkeys(stage.dynamic.get(name, ()), axis) for name in stage.inputs)
    return torch.export.export(stage.module, tuple(stage.inputs.values()), dynamic_shapes=shapes, strict=False)


def _write_onnx(stage: Stage, path: Path) -> list[Path]:
    names: dict[str, Any] = {"input_names": list(stage.inputs), "output_names": list(stage.outputs)}
    written = torch.onnx.export(
        traced(stage), dynamo=True, verbose=False, opset_version=_OPSET, optimize=False, **names
    )
    assert written is not None
    file = path.with_suffix(".onnx")
    written.save(file, external_data=False)
    return [file]


def _write_openvino(stage: Stage, path: Path) -> list[Path]:
    import openvino

    ready = path.parents[1] / "onnx" / f"{path.name}.onnx"
    source = ready if ready.is_file() else _write_onnx(stage, path)[0]  # it does not read programs of torch.export
    openvino.save_model(openvino.convert_model(source), path.with_suffix(".xml"), compress_to_fp16=False)
    if source != ready:
        source.unlink()
    return [path.with_suffix(".xml"), path.with_suffix(".bin")]


def _write_torch(stage: Stage, path: Path) -> list[Path]:
    torch.export.save(traced(stage), path.with_suffix(".pt2"))
    return [path.with_suffix(".pt2")]


_WRITERS: Final[dict[str, Callable[[Stage, Path], list[Path]]]] = {
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "torch-export": _write_torch,
}


def _to_int8(file: Path) -> None:
    """Replace the weights of a graph's matrix products by 8-bit ones, with one scale per output channel.

    Raises:
        ExportError: no product has weights of the graph.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.preprocess import quant_pre_process

    # The exporter writes weights and their transposition apart; products of such a result would be left as they are.
    quant_pre_process(file, file, skip_onnx_shape=True, skip_symbolic_shape=True)
    quantize_dynamic(
        file,
        file,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,  # x86 processors without VNNI add two products of 8 bits in 16, which saturates
        op_types_to_quantize=["MatMul", "Gemm"],
    )
    kinds = {node.op_type for node in onnx.load(file).graph.node}
    if "MatMulInteger" not in kinds:
        raise ExportError("int8: the image tower has no matrix product that ONNX Runtime quantizes; leave int8 out.")


class _Joined(nn.Module):
    """All stages one after the other, with the text embeddings as constants."""

    def __init__(self, stages: Mapping[str, Stage], texts: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(stage.module for stage in stages.values())
        self.stages = list(stages.values())
        self.names = list(texts)
        for name, text in texts.items():
            self.register_buffer(f"baked_{name}", text.clone())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        known = {"images": images} | {name: getattr(self, f"baked_{name}") for name in self.names}
        found: tuple[Tensor, ...] = ()
        for stage in self.stages:
            result = stage.module(*(known[name] for name in stage.inputs))
            found = result if isinstance(result, tuple) else (result,)
            known |= dict(zip(stage.outputs, found, strict=True))
        return found


def _joined(stages: Mapping[str, Stage], texts: Mapping[str, Tensor]) -> Stage:
    first, last = next(iter(stages.values())), list(stages.values())[-1]
    images = {"images": first.inputs["images"]}
    dynamic = {name: axes for name, axes in first.dynamic.items() if name == "images"}
    return Stage(_Joined(stages, texts), images, last.outputs, dynamic)


def _cause(error: BaseException) -> str:
    """The sentence of an exporter's error that names the operator or the reason."""
    lines = [line.strip() for line in str(error.__cause__ or error).splitlines() if line.strip()]
    named = [line for line in lines if "aten" in line or "operator" in line.lower()]
    return (named or lines or [type(error).__name__])[0][:300]


@contextmanager
def _quiet() -> Iterator[None]:
    """Context without the messages of the exporters about themselves."""
    loggers = [logging.getLogger(name) for name in _NOISE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
