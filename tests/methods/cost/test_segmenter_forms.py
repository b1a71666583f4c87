"""The cost family in its inference form and compiled: the logits are those of the textbook."""

import subprocess
import sys
from typing import Any

import pytest
import torch

from ahs_seg.methods import CatSegConfig
from ahs_seg.modules import fused_linear
from tests.support import textbook
from tests.support.builders import random_backbone
from tests.support.small_methods import SMALL, inputs

VARIANTS: list[Any] = [
    pytest.param({}, 7, 1, id="fewer classes than the padding length, one at a time"),
    pytest.param({"attention": "full", "keep": None}, 19, None, id="softmax attention, all kept"),
    pytest.param({"class_pooling": 1, "keep": None}, 19, None, id="no pooling"),
    pytest.param({"prompts": 3}, 5, None, id="three prompts a class"),
]


@pytest.mark.parametrize(("changes", "classes", "budget"), VARIANTS)
def test_the_inference_form_equals_the_textbook(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], classes: int, budget: int | None
) -> None:
    packed = budget is None and torch.backends.mkldnn.is_available()
    monkeypatch.setattr(fused_linear, "packed_is_faster", lambda *_, **__: packed)
    model = CatSegConfig(cost=SMALL.replace(**changes)).compose(random_backbone()).eval()
    textbook.randomise(model.head)
    textbook.randomise(model.pyramid)
    images, text = inputs(classes, int(changes.get("prompts", 1)))
    with torch.no_grad():
        expected = textbook.segment(model, images, text)
        model.optimize(pack_all=packed)
        model.head.budget = budget
        found = model(images, text).logits
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


COMPILED = """
import sys
import torch
from ahs_seg.methods import CatSegConfig
from ahs_seg.modules.inference_form import compile_parts
from tests.support import textbook
from tests.support.builders import random_backbone
from tests.support.small_methods import SMALL, inputs

backend, parts = sys.argv[1:]
torch._inductor.config.compile_threads = 1
model = CatSegConfig(cost=SMALL.replace(layers=1)).compose(random_backbone(resolution=64)).eval()
textbook.randomise(model.head)
images, text = inputs(3, batch=1)
with torch.no_grad():
    expected = model(images, text).logits
    if parts == "parts":
        assert compile_parts(model, model.compiled, backend=backend) == 4
    else:
        model.optimize()
        model.compile(fullgraph=True, backend=backend)
    found = model(images, text).logits
assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
"""
"""Without the check of shapes around every function (`conftest.py`), in which graphs would break."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "parts"),
    [
        ("eager", "parts"),
        ("eager", "whole"),
        ("inductor", "parts"),
    ],
)
def test_compiled_without_a_break_and_equal(backend: str, parts: str) -> None:
    words = [sys.executable, "-c", COMPILED, backend, parts]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
