"""Methods that are trained, on other dense forms of their CLIP than their own."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.config import ConfigError
from ahs_seg.methods import AhsSegLiteConfig, CatSegConfig, EBSegConfig, HClipConfig, Method, ScanConfig
from ahs_seg.methods.mask.scan.segmenter import ScanSegmenter
from ahs_seg.tuners import Attention, Full
from tests.support.builders import random_backbone
from tests.support.every_method import SMALL_CONFIGS, SOURCE

LEARNED = (CatSegConfig, AhsSegLiteConfig, EBSegConfig, ScanConfig)
"""One of the cost family with parts, one without, and the mask family."""


def images() -> Tensor:
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def text() -> Tensor:
    return F.normalize(torch.randn(5, 1, 24, generator=torch.Generator().manual_seed(2)), dim=-1)


def build(config: Any, form: Any, resolution: int = 64) -> Method:
    torch.manual_seed(0)
    config = config.replace(backbone=config.backbone.replace(dense=form))
    return config.compose(random_backbone(resolution=resolution)).eval()


@torch.no_grad()
@pytest.mark.parametrize("kind", LEARNED, ids=lambda kind: kind.__name__)
def test_a_form_changes_what_a_method_reads_and_predicts(kind: Any) -> None:
    own, residual = (build(SMALL_CONFIGS[kind], form) for form in (None, "residual"))
    one, other = own(images(), text()), residual(images(), text())
    assert not torch.allclose(one.features.dense, other.features.dense, atol=1e-3)
    assert not torch.allclose(one.logits, other.logits, atol=1e-6)
    if kind is CatSegConfig:
        same = build(SMALL_CONFIGS[kind], "cat_seg")(images(), text())
        assert torch.equal(one.logits, same.logits)
        clip = residual.for_inference().backbone
        torch.testing.assert_close(other.features.dense, clip.encode_image(images()).dense)


@torch.no_grad()
@pytest.mark.parametrize("form", ["cat_seg", "value", "naclip"])
def test_ebseg_averages_the_patches_of_the_form(form: Any) -> None:
    config = SMALL_CONFIGS[EBSegConfig].replace(clip_scale=1.0)
    method = build(config, form)
    dense = method.encode(images()).dense
    torch.testing.assert_close(dense, F.normalize(method.backbone.encode_image(images()).dense, dim=1))


@torch.no_grad()
@pytest.mark.parametrize("form", ["cat_seg", "value"])
def test_scan_integrates_the_last_map_in_the_form(form: Any) -> None:
    method, own = (build(SMALL_CONFIGS[ScanConfig], name, 32) for name in (form, None))
    assert isinstance(method, ScanSegmenter)
    assert isinstance(own, ScanSegmenter)
    shown = F.interpolate(images(), size=(32, 32), mode="nearest")
    wanted = method.backbone.encode_image(shown, levels=(2,))
    found, plain = (one.context(one.backbone.normalise(images()), (64, 64)) for one in (method, own))
    torch.testing.assert_close(found.dense, wanted.dense)
    torch.testing.assert_close(found.levels[-1], wanted.levels[0])
    assert torch.equal(found.levels[0], plain.levels[0])
    assert torch.equal(found.image, plain.image)
    assert all(torch.equal(found.starts[number], plain.starts[number]) for number in plain.starts)


def test_crops_have_no_dense_form() -> None:
    config = SMALL_CONFIGS[ScanConfig].replace(shifted=SOURCE.replace(dense="value"))
    assert isinstance(config, ScanConfig)
    with pytest.raises(
        ConfigError, match=r"method\.shifted\.dense is value, but crops .* Leave method\.shifted\.dense"
    ):
        config._shifted(random_backbone())


@pytest.mark.parametrize(
    ("config", "form"),
    [
        (SMALL_CONFIGS[CatSegConfig].replace(tuner=Attention()), "value"),
        (SMALL_CONFIGS[CatSegConfig].replace(tuner=Attention()), "sclip"),
        (SMALL_CONFIGS[CatSegConfig].replace(tuner=Full()), "naclip"),
        (SMALL_CONFIGS[HClipConfig], "residual"),
    ],
    ids=["attention, value", "attention, sclip", "full, naclip", "orthogonal, residual"],
)
def test_all_that_trains_on_a_form_gets_a_gradient(config: Any, form: Any) -> None:
    method = build(config, form).train()
    tokens = method.backbone.tokenizer(["one", "two"])
    method(images(), method.backbone.encode_text(tokens)[:, None]).logits.square().sum().backward()
    idle = [name for name, value in method.named_parameters() if value.requires_grad and value.grad is None]
    assert idle == []
