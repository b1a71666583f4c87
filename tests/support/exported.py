"""Small methods in stages, run by PyTorch in place of another runtime, and a graph that is made by hand."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ahs_seg.checkpoints.exporting.families import staged
from ahs_seg.checkpoints.exporting.manifest import Graph, listed_file
from ahs_seg.checkpoints.exporting.stages import Run, StagedMethod
from ahs_seg.config import Config
from ahs_seg.methods.base import Method
from tests.support.builders import random_backbone
from tests.support.every_method import SMALL_CONFIGS


def small(kind: type[Config], **options: object) -> Method:
    """A small random method of a class of configs, ready for inference."""
    torch.manual_seed(0)
    return SMALL_CONFIGS[kind].compose(random_backbone()).for_inference(options)


def eager(parts: StagedMethod) -> Run:
    """A runtime that calls the modules of the stages."""
    with torch.no_grad():
        stages = parts.stages()

    def run(name: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        stage = stages[name]
        assert set(inputs) == set(stage.inputs)
        for axis_of, example in stage.inputs.items():  # only the axes that are called dynamic may differ
            fixed = [axis for axis in range(example.ndim) if axis not in stage.dynamic.get(axis_of, {})]
            assert [inputs[axis_of].shape[axis] for axis in fixed] == [example.shape[axis] for axis in fixed]
        found = stage.module.eval()(*(inputs[key] for key in stage.inputs))
        return dict(zip(stage.outputs, found if isinstance(found, tuple) else (found,), strict=True))

    return run


def difference(method: Method, classes: int) -> float:
    """The largest difference of logits between a method and its stages, relative to the largest logit."""
    generator = torch.Generator().manual_seed(classes)
    images, text = torch.rand(2, 3, 64, 64, generator=generator), torch.randn(classes, 1, 24, generator=generator)
    parts = staged(method)
    with torch.no_grad():
        run, whole = eager(parts), method(images, text)
        found = parts.decode(parts.encode(images, run), text, run)
    rows = [None if one.kept_rows is None else one.kept_rows.tolist() for one in (whole, found)]
    assert rows[0] == rows[1]
    return float((whole.logits - found.logits).abs().max() / whole.logits.abs().max())


def doubled(path: Path, *, elsewhere: str | None = None) -> Graph:
    """The graph y = 2 x for vectors of any length; the 2 may lie in another file. Skips without onnx."""
    onnx = pytest.importorskip("onnx")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    two = onnx.numpy_helper.from_array(np.array([2.0], np.float32), "two")
    if elsewhere is not None:
        onnx.external_data_helper.set_external_data(two, elsewhere)
        two.data_location = onnx.TensorProto.EXTERNAL
        two.ClearField("raw_data")
    nodes = [helper.make_node("Mul", ["x", "two"], ["y"])]
    ends = [[helper.make_tensor_value_info(name, number, ["n"])] for name in ("x", "y")]
    graph = helper.make_graph(nodes, "doubled", *ends, initializer=[two])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return Graph(files=(listed_file(path),), inputs=("x",), outputs=("y",))
