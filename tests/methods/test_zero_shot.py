"""Segmentation without training."""

from typing import Any

import numpy as np
import pytest
import torch

from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.config import ConfigError
from ahs_seg.experiments.quickstart import BASELINES
from ahs_seg.inference.predict import InferenceConfig, predict, score_maps
from ahs_seg.inference.windows import ImageWindows, SlidingWindows, WholeImage
from ahs_seg.methods import ZeroShotConfig
from ahs_seg.methods.refinement import PamrConfig
from tests.support.builders import random_backbone
from tests.support.drawn_images import drawn
from tests.support.small_methods import inputs


@torch.no_grad()
def test_zero_shot_labels_a_patch_with_the_nearest_name() -> None:
    method = ZeroShotConfig().compose(random_backbone())
    assert not any(p.requires_grad for p in method.parameters())
    images, text = inputs(6)
    output = method(images, text)
    dense = torch.nn.functional.normalize(output.features.dense, dim=1)
    cosine = torch.einsum("bdhw,td->bthw", dense, torch.nn.functional.normalize(text[:, 0], dim=-1))
    assert torch.equal(output.logits.argmax(1), cosine.argmax(1))
    torch.testing.assert_close(method.scores(output.logits).sum(1), torch.ones(2, 8, 8))


@pytest.mark.parametrize(
    ("backbone", "form", "temperature"),
    [
        ({}, "naclip", 0.025),
        ({"source": "tiny"}, "value", 0.05),
        ({"source": "tiny", "resolution": 64}, "value", 0.05),
        ({"source": "tiny", "dense": "sclip"}, "sclip", 0.05),
    ],
)
def test_defaults_depend_on_the_clip(backbone: dict[str, Any], form: str, temperature: float) -> None:
    config = ZeroShotConfig(backbone=ClipConfig(**backbone))
    method = config.compose(random_backbone())
    assert method.backbone.dense_form == form
    assert config.temperature == method.temperature == temperature
    assert config.replace(temperature=0.01).temperature == 0.01
    assert ZeroShotConfig.parse(config.model_dump()) == config


def test_the_baselines_of_the_tables_keep_their_form() -> None:
    best, other = (config.compose(random_backbone()) for config in BASELINES.values())
    assert (best.backbone.dense_form, best.temperature, best.merging.softmax) == ("value", 0.05, True)
    assert (other.backbone.dense_form, other.temperature, other.merging.softmax) == ("cat_seg", 0.01, False)


@torch.no_grad()
@pytest.mark.parametrize(("size", "grid"), [((64, 64), (8, 8)), ((90, 120), (8, 11)), ((10, 400), (1, 32))])
def test_views_keep_their_aspect_ratio(size: tuple[int, int], grid: tuple[int, int]) -> None:
    method = ZeroShotConfig().compose(random_backbone())
    assert method.encode(torch.rand(1, 3, *size)).dense.shape[-2:] == grid


@torch.no_grad()
@pytest.mark.parametrize("windows", [WholeImage(), SlidingWindows(), ImageWindows(kernel=64, stride=32)])
@pytest.mark.parametrize("refine", [None, PamrConfig(iterations=2, dilations=(1, 3))])
def test_scores_of_all_names_sum_to_one_however_views_are_merged(windows: Any, refine: PamrConfig | None) -> None:
    method = ZeroShotConfig(refine=refine).compose(random_backbone())
    image, text = drawn(80, 110), inputs(7)[1]
    config = InferenceConfig(windows=windows)
    rows, maps = score_maps(method, image, text, config)
    scores = maps(rows)
    assert rows.tolist() == list(range(7))
    torch.testing.assert_close(scores.sum(0), torch.ones(80, 110))
    found = predict(method, image, text, config)
    assert np.array_equal(found.labels, scores.argmax(0))
    torch.testing.assert_close(found.scores, scores.amax(0))


SPREAD = ZeroShotConfig(backbone=ClipConfig(dense="residual"))
"""With random weights the default form gives nearly the same feature everywhere."""


@torch.no_grad()
def test_refinement_follows_the_image() -> None:
    image, text = drawn(64, 64), inputs(7)[1]
    method = SPREAD.compose(random_backbone())
    plain = predict(method, image, text, InferenceConfig())
    refined = predict(method.for_inference({"refine": True}), image, text, InferenceConfig())
    assert (plain.scores - refined.scores).abs().max() > 1e-3
    again = method.for_inference({"refine": True}).for_inference({"refine": False})
    assert torch.equal(predict(again, image, text, InferenceConfig()).scores, plain.scores)


@torch.no_grad()
def test_the_softmax_of_each_view_is_an_option() -> None:
    method = SPREAD.compose(random_backbone())
    image, text, config = drawn(80, 110), inputs(7)[1], InferenceConfig(windows=ImageWindows(kernel=64, stride=32))
    views = method.for_inference({"softmax": "views"})
    rows, maps = score_maps(views, image, text, config)
    assert maps(rows).sum(0).min() < 0.99, "the geometric mean of different distributions"
    labels = [predict(one, image, text, config).labels for one in (views, method)]
    assert torch.equal(*labels)


def test_refinement_needs_merged_logits() -> None:
    with pytest.raises(ConfigError, match="refine acts on merged logits"):
        ZeroShotConfig(refine=PamrConfig(), softmax="views")
    with pytest.raises(ConfigError, match="refine acts on merged logits"):
        ZeroShotConfig(softmax="views").compose(random_backbone()).for_inference({"refine": True})
