"""What every method promises, tried on every member of the union."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.checkpoints import ModelDescription, load_model, save_model
from ahs_seg.methods import METHODS, CostSegmenter, MethodConfig
from ahs_seg.methods.mask.ebseg.segmenter import EBSegSegmenter
from ahs_seg.methods.mask.scan.segmenter import ScanSegmenter
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.methods.zero_shot import ZeroShotSegmenter
from ahs_seg.segmenter import Segmenter
from ahs_seg.types import Output, TrainingForward
from tests.support.builders import random_backbone
from tests.support.every_method import SMALL_CONFIGS

Build = Callable[[], nn.Module]
Method = CostSegmenter | EBSegSegmenter | ScanSegmenter | ZeroShotSegmenter


@pytest.fixture(params=METHODS, ids=lambda member: member.__name__)
def config(request: pytest.FixtureRequest) -> Any:
    assert request.param in SMALL_CONFIGS, f"give {request.param.__name__} a small config here"
    return SMALL_CONFIGS[request.param]


@pytest.fixture
def method(config: Any) -> Method:
    torch.manual_seed(0)
    return config.compose(random_backbone()).eval()


def text(classes: int) -> Tensor:
    return torch.randn(classes, 1, 24, generator=torch.Generator().manual_seed(classes))


def images(count: int = 2, height: int = 64, width: int = 64) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (1, 1), (37, 90)])
def test_images_of_any_size(method: nn.Module, size: tuple[int, int]) -> None:
    output = method(images(1, *size), text(4))
    assert isinstance(output, Output)
    assert output.logits.shape[:2] == (1, 4)
    assert output.logits.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("classes", [1, 2, 40])
def test_any_number_of_words(method: nn.Module, classes: int) -> None:
    output = method(images(), text(classes))
    count = output.logits.shape[1]
    if output.kept_rows is None:
        assert count == classes
    else:
        assert output.kept_rows.shape == (2, count)
        assert all(len(set(rows.tolist())) == count for rows in output.kept_rows)


@torch.no_grad()
def test_scores_are_in_zero_one_and_keep_the_order(method: nn.Module) -> None:
    logits = method(images(), text(5)).logits
    scores = method.scores(logits)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert torch.equal(scores.double().argmax(1), logits.double().argmax(1))


@torch.no_grad()
def test_permuting_the_words_permutes_the_logits(method: nn.Module) -> None:
    order = torch.tensor([2, 0, 4, 1, 3])
    one, other = method(images(), text(5)).logits, method(images(), text(5)[order]).logits
    torch.testing.assert_close(other, one[:, order], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_merged_copy_is_a_plain_clip_that_computes_the_same(method: nn.Module) -> None:
    for parameter in method.parameters():
        if parameter.requires_grad:
            parameter.add_(torch.randn_like(parameter) * 0.05)
    merged = method.for_inference()
    assert isinstance(merged.backbone, ClipBackbone)
    assert merged.backbone.adapter is None
    assert not merged.training
    torch.testing.assert_close(merged(images(), text(4)).logits, method(images(), text(4)).logits, rtol=1e-3, atol=1e-4)


def test_every_trainable_parameter_gets_a_gradient(method: nn.Module, config: MethodConfig) -> None:
    trained = {name: p for name, p in method.named_parameters() if p.requires_grad}
    if not trained:
        return
    method.train()
    for parameter in trained.values():  # away from the zeros at which some parts start
        with torch.no_grad():
            parameter.add_(torch.randn_like(parameter) * 0.05)

    def words() -> Tensor:
        tokens = method.backbone.tokenizer(["one", "two", "three", "four", "five"])
        return torch.nn.functional.normalize(method.backbone.encode_text(tokens), dim=-1)

    classes, labels = torch.arange(5), torch.arange(2 * 64 * 64).reshape(2, 64, 64) % 5
    terms = config.objective(method, TrainingClasses(tuple("12345"), (None,) * 5, lambda: words().detach()))
    for _ in range(2):  # what keeps something between steps has a loss from the second one on
        output = method(images(), words().unsqueeze(1))
        losses = terms(method, TrainingForward(images(), labels, classes, classes, output, 0.0))
        torch.stack(list(losses.values())).sum().backward()
        terms.update(method)
    assert [name for name, p in trained.items() if p.grad is None or not p.grad.any()] == []


@torch.no_grad()
def test_a_model_directory_brings_it_back(method: Method, config: MethodConfig, tmp_path: Path) -> None:
    directory = save_model(method, ModelDescription(method=config), tmp_path / "model")
    _, loaded = load_model(directory)
    assert torch.equal(loaded(images(), text(4)).logits, method(images(), text(4)).logits)


@torch.no_grad()
def test_segmenter_and_method_agree(method: Method) -> None:
    segmenter = Segmenter(method)
    picture = (images(1)[0] * 255).byte().permute(1, 2, 0).numpy()
    result = segmenter(picture, ["sky", "grass", "road"])
    assert result.labels.shape == (64, 64)
    assert set(result.areas()) <= {"sky", "grass", "road"}
    assert sum(result.areas().values()) == 64 * 64
