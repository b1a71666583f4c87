"""The economical forward equals the textbook one, in values and in gradients."""

import weakref
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from ahs_seg.config import ConfigError
from ahs_seg.methods import AhsSegConfig, CatSegConfig, CostSegmenter
from ahs_seg.methods.cost.class_attention import ClassAggregation, ClassSummary
from ahs_seg.methods.cost.segmenter import CostConfig
from ahs_seg.tuners import Full
from tests.support import textbook
from tests.support.builders import random_backbone
from tests.support.small_methods import AHS_SEG_SMALL, SMALL, inputs


def method(**changes: Any) -> CostSegmenter:
    cost = SMALL.replace(**changes)
    built = CatSegConfig(tuner=Full(), cost=cost).compose(random_backbone()).eval()
    textbook.randomise(built.head)
    textbook.randomise(built.pyramid)
    return built


def relative(ours: Tensor, reference: Tensor) -> float:
    return float((ours - reference).abs().max() / reference.abs().max())


VARIANTS: list[Any] = [
    pytest.param({}, 7, id="fewer classes than the padding length"),
    pytest.param({}, 12, id="exactly the padding length"),
    pytest.param({"keep": None}, 19, id="more classes than the padding length, all kept"),
    pytest.param({"attention": "full"}, 7, id="softmax attention over classes"),
    pytest.param({"attention": "full", "keep": None}, 19, id="softmax attention, all kept"),
    pytest.param({"class_pooling": 1}, 7, id="no pooling"),
    pytest.param({"layers": 3}, 5, id="three layers"),
    pytest.param({"prompts": 3}, 5, id="three prompts a class"),
    pytest.param({}, 1, id="one class"),
]


@pytest.mark.parametrize(("changes", "classes"), VARIANTS)
@pytest.mark.parametrize("budget", [None, 1])
def test_logits_equal_the_textbook(changes: dict[str, Any], classes: int, budget: int | None) -> None:
    model = method(**changes)
    model.head.budget = budget
    images, text = inputs(classes, int(changes.get("prompts", 1)))
    with torch.no_grad():
        assert relative(model(images, text).logits, textbook.segment(model, images, text)) < 1e-5


@pytest.mark.parametrize(
    ("changes", "classes", "checkpointing"),
    [
        *[pytest.param(*one.values, False, id=one.id) for one in VARIANTS],
        *[
            pytest.param(
                *one.values, True, id=f"{one.id}, recomputed", marks=[pytest.mark.slow] * (index not in (2, 4))
            )
            for index, one in enumerate(VARIANTS)
        ],
    ],
)
def test_gradients_equal_the_textbook(changes: dict[str, Any], classes: int, checkpointing: bool) -> None:
    model = method(**changes).double()
    model.head.budget = 1
    model.head.checkpointing = model.backbone.checkpointing = checkpointing
    images, text = (tensor.double() for tensor in inputs(classes, int(changes.get("prompts", 1))))
    text.requires_grad_()
    wanted = {"text": text, **{name: p for name, p in model.named_parameters() if p.requires_grad}}
    weight = torch.randn(2, classes, 32, 32, generator=torch.Generator().manual_seed(3)).double()
    reference = torch.autograd.grad(
        (textbook.segment(model, images, text) * weight).sum(), list(wanted.values()), allow_unused=True
    )
    ours = torch.autograd.grad((model(images, text).logits * weight).sum(), list(wanted.values()), allow_unused=True)
    total = torch.stack([part.norm() for part in reference if part is not None]).norm()
    pairs: list[tuple[str, Tensor | None, Tensor | None]] = list(zip(wanted, ours, reference, strict=True))
    for name, one, other in pairs:
        if other is None:  # padding that is not needed: part of our graph all the same, with no influence
            assert one is None or not one.any(), name
        else:  # key biases have no effect: their gradients are rounding
            assert one is not None, name
            assert (one - other).norm() < 1e-4 * other.norm() + 1e-12 * total, name


@torch.no_grad()
def test_only_the_most_similar_classes_are_aggregated() -> None:
    model = method()
    images, text = inputs(30)
    output = model(images, text)
    assert output.kept_rows is not None
    assert output.kept_rows.shape == (2, 12)
    reference = textbook.segment(model, images, text)
    for logits, kept, rows in zip(output.logits, output.kept_rows, reference, strict=True):
        assert relative(logits, rows[kept]) < 1e-5
        assert (rows > -99).flatten(1).any(1).sum() == 12


@torch.no_grad()
def test_permuting_the_names_permutes_the_logits() -> None:
    model = method()
    images, text = inputs(9)
    order = torch.tensor([3, 1, 8, 0, 2, 7, 6, 5, 4])
    assert relative(model(images, text[order]).logits, model(images, text).logits[:, order]) < 1e-5


@torch.no_grad()
def test_images_do_not_see_each_other() -> None:
    model = method()
    images, text = inputs(5, batch=3)
    together = model(images, text).logits
    alone = torch.cat([model(image[None], text).logits for image in images])
    assert relative(together, alone) < 1e-5


@torch.no_grad()
def test_merged_is_a_copy_that_computes_the_same() -> None:
    model = method()
    images, text = inputs(5)
    twin = model.for_inference()
    torch.testing.assert_close(twin(images, text).logits, model(images, text).logits)
    next(twin.head.parameters()).zero_()
    assert next(model.head.parameters()).any()


def test_a_text_with_another_number_of_prompts_is_refused() -> None:
    images, text = inputs(3, prompts=2)
    with pytest.raises(ValueError, match=r"2 prompts per class.*built for 1.*cost\.prompts=2"):
        method()(images, text)


def test_a_grid_that_the_window_does_not_divide_is_refused() -> None:
    images, text = inputs(3)
    with pytest.raises(ValueError, match=r"8x8.*window=3"):
        method(window=3)(images, text)


@torch.no_grad()
def test_heads_that_do_not_divide_the_dimension_are_refused() -> None:
    with pytest.raises(ConfigError, match="heads is 7, but must divide dim, which is 128"):
        CatSegConfig(cost=CostConfig(heads=7))


def test_summaries_of_chunks_do_not_pile_up() -> None:
    """Memory between the sweeps is one map per class, not one summary per chunk."""
    model = method(keep=None)
    model.head.budget = 1
    images, text = inputs(20, batch=1)
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    def watched(layer: ClassAggregation, *arguments: Any) -> ClassSummary:
        nonlocal most
        part = summarise(layer, *arguments)
        alive.append(weakref.ref(part.first))
        most = max(most, sum(reference() is not None for reference in alive))
        return part

    summarise = ClassAggregation.summarise
    with patch.object(ClassAggregation, "summarise", watched):
        model(images, text)
    assert len(alive) == 2 * 20
    assert most <= 3  # the total, the newest and the one just added


@torch.no_grad()
def test_words_guide_as_they_were_before_the_projection() -> None:
    """The projection changes what patches are compared with; the class attention is guided by the words themselves."""
    torch.manual_seed(0)
    built = AhsSegConfig(tuner=Full(), cost=AHS_SEG_SMALL).compose(random_backbone()).eval()
    for parameter in built.parts.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    _, text = inputs(4)
    words = built.prepare(text)
    assert torch.equal(words.guidance, text)
    assert torch.equal(words.embeddings, built.parts.projected(text))
    assert (words.embeddings - text).abs().max() > 0.1
