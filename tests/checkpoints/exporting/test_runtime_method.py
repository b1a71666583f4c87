"""A method whose graphs another runtime computes; here, PyTorch computes them one by one."""

import copy
from collections.abc import Mapping
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from ahs_seg.checkpoints.exporting.families import staged
from ahs_seg.checkpoints.exporting.runtime_method import RuntimeMethod
from ahs_seg.checkpoints.exporting.stages import ExportError, Run
from ahs_seg.io.precision import PrecisionError
from ahs_seg.methods import CatSegConfig, Method, ZeroShotConfig
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.exported import eager, small

IMAGE = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
NAMES = Vocabulary.parse("sky, road, tree")


def graph(run: Run, name: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return run(name, inputs)


def other(method: Method) -> RuntimeMethod:
    run = eager(staged(method))
    return RuntimeMethod(method, {name: partial(graph, run, name) for name in ("image", "head")}, staged(method).fixed)


@pytest.fixture(scope="module")
def both() -> tuple[Segmenter, Segmenter]:
    method = small(CatSegConfig)
    return Segmenter(method), Segmenter(other(method))


def test_several_classes_per_pixel_are_the_same(both: tuple[Segmenter, Segmenter]) -> None:
    plain, found = (each(IMAGE, NAMES, top_k=2) for each in both)
    assert (plain.labels == found.labels).mean() > 0.999  # ties aside
    assert np.allclose(plain.scores, found.scores, atol=1e-5)
    assert plain.top_labels.shape == found.top_labels.shape == (2, 70, 90)
    assert plain.top_scores is not None
    assert found.top_scores is not None
    assert np.allclose(plain.top_scores, found.top_scores, atol=1e-5)


def test_a_copy_shares_the_graphs_and_weights_are_saved_under_their_names(both: tuple[Segmenter, Segmenter]) -> None:
    method = both[1].method
    assert isinstance(method, RuntimeMethod)
    twin = copy.deepcopy(method)
    assert twin.state_dict().keys() == both[0].method.state_dict().keys()
    text = torch.randn(3, 1, 24)
    with torch.no_grad():
        images = torch.rand(1, 3, 64, 64)
        assert torch.equal(twin(images, text).logits, method(images, text).logits)


def test_what_the_graphs_cannot_do_is_refused(both: tuple[Segmenter, Segmenter]) -> None:
    method = both[1].method
    with pytest.raises(ExportError, match=r"class_pooling=1 is asked for, but .* with class_pooling=2\. Export"):
        method.for_inference({"class_pooling": 1})
    with pytest.raises(PrecisionError, match="exported graphs compute in fp32"):
        both[1].to(dtype="bf16")
    assert both[1].dtype == torch.float32


def test_a_method_says_what_computes_it() -> None:
    method = small(CatSegConfig)
    found = RuntimeMethod(method, {}, staged(method).fixed, name="openvino", weights="int8")
    expected = {"name": "openvino", "weights": "int8", "fixed": {"class_pooling": 2}}
    assert method.runtime is None
    assert found.runtime == found.for_inference().runtime == expected


def test_options_outside_the_graphs_stay_free() -> None:
    method = other(small(ZeroShotConfig))
    assert method.merging.softmax
    assert not method.for_inference({"softmax": "views"}).merging.softmax
    assert method.keeps_aspect


def test_options_are_compared_without_a_copy_too_and_graphs_are_not_compiled() -> None:
    method = other(small(CatSegConfig, class_pooling=1))
    assert method.become_inference({"class_pooling": 1}) is method
    with pytest.raises(ExportError, match="class_pooling=2 is asked for, but the graphs were exported with class_pool"):
        method.become_inference({"class_pooling": 2})
    with pytest.raises(ExportError, match="exported graphs cannot be compiled; leave compile out"):
        Segmenter(other(small(CatSegConfig))).optimize(compile=True)
