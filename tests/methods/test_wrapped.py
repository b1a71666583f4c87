"""A method that stands for another one has its properties."""

import torch

from ahs_seg.checkpoints.exporting.runtime_method import RuntimeMethod
from ahs_seg.demo.web.feature_cache import ByteLRU, CachedMethod
from ahs_seg.methods import CatSegConfig, EBSegConfig
from ahs_seg.methods.base import Method
from ahs_seg.types import ClassText
from ahs_seg.vocabulary.seen_classes import SoftOverlap
from tests.support.exported import small

OF_ITS_OWN = {"options", "forms", "compiled", "compute_dtype", "runtime"}
"""What a wrapped method may have otherwise."""


def test_everything_that_inference_asks_a_method_is_that_of_the_method_inside() -> None:
    masks, cost = small(EBSegConfig), small(CatSegConfig)
    masks.soft_overlap = SoftOverlap(low=0.2, high=0.8)
    masks.keeps_aspect = True
    for method in (masks, cost):
        for wrapped in (CachedMethod(method, ByteLRU(), name="x"), RuntimeMethod(method, {}, {}, name="onnxruntime")):
            for name in {*Method.__annotations__, "merging"} - OF_ITS_OWN:
                assert getattr(wrapped, name) == getattr(method, name), name
            text, seen = torch.randn(3, 1, 24), torch.tensor([True, False, True])
            found = wrapped.prepare(text, seen)
            assert isinstance(found, ClassText)
            assert torch.equal(found.embeddings, method.prepare(text, seen).embeddings)
            assert torch.equal(wrapped.scores(text), method.scores(text))


def test_a_cache_around_exported_graphs_names_their_runtime() -> None:
    graphs = RuntimeMethod(small(CatSegConfig), {}, {}, name="openvino")
    assert CachedMethod(graphs, ByteLRU(), name="x").runtime == graphs.runtime
    assert graphs.runtime is not None
